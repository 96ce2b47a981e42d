// Runs one step of installing or building so that nobody looks at a silent screen: what is being done, then the
// seconds it has taken so far, then that it is done. Everything goes to stderr: stdout belongs to the program that
// is started afterwards.
import { spawn } from 'node:child_process'
import { Fault } from './fault.mjs'
import { ROOT } from './root.mjs'

const REPORT_EVERY_MS = 3_000
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP']

export function tell(text) {
  process.stderr.write(`kvorum: ${text}\n`)
}

/** Runs argv to its end. Rejects with a Fault when it cannot be started or does not end with code 0. */
export function step(doing, argv, { cwd = ROOT, env = process.env } = {}) {
  const began = performance.now()
  const seconds = () => `${((performance.now() - began) / 1000).toFixed(1)} s`
  tell(`${doing} ...`)
  return new Promise((resolve, reject) => {
    // Before there is a child: one that runs already while we cannot be told to stop would go on without us.
    const interrupted = forwardSignals(() => child)
    // Its own stdout goes to our stderr.
    const child = spawn(argv[0], argv.slice(1), { cwd, env, stdio: ['ignore', 2, 2] })
    const report = setInterval(() => tell(`${doing} ... ${seconds()}`), REPORT_EVERY_MS)
    const end = (settle, value) => {
      clearInterval(report)
      interrupted.stop()
      settle(value)
    }
    child.once('error', (error) => end(reject, new Fault(`cannot run ${argv[0]}: ${error.message}`)))
    child.once('close', (code, signal) => {
      const by = interrupted.by()
      if (by !== undefined) process.kill(process.pid, restoreDefault(by))
      else if (code === 0) {
        tell(`${doing}: done (${seconds()})`)
        end(resolve)
      } else end(reject, new Fault(`${doing} failed (${signal ?? `exit code ${code}`}); the lines above say why`))
    })
  })
}

/** A signal ends the step first, so that no compiler goes on behind our back; then it ends us in the usual way. */
function forwardSignals(child) {
  let received
  const handle = (signal) => {
    received = signal
    child().kill(signal)
  }
  for (const signal of SIGNALS) process.on(signal, handle)
  return {
    by: () => received,
    stop: () => {
      for (const signal of SIGNALS) process.off(signal, handle)
    },
  }
}

function restoreDefault(signal) {
  process.removeAllListeners(signal)
  return signal
}
