// The other end of a driver process.
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Figures, Job, Said } from './protocol.js'

const DRIVER = fileURLToPath(new URL('./driver.js', import.meta.url))
const END_MS_MAX = 5000

/** Lets a driver do the job. The figures come by the case's name. Aborting ends the driver. */
export function drive(job: Job, signal: AbortSignal): Promise<Map<string, Figures>> {
  const child = fork(DRIVER, { signal, killSignal: 'SIGKILL' })
  return new Promise((resolve, reject) => {
    const measured = new Map<string, Figures>()
    let failed: string | undefined
    let done = false
    child.on('message', (said: Said) => {
      if (said.kind === 'measured') measured.set(said.name, said.figures)
      else if (said.kind === 'failed') failed = said.message
      else done = true
    })
    // It has said all it had to say. A client that leaves something open must not keep us here.
    child.once('disconnect', () => setTimeout(() => child.kill('SIGKILL'), END_MS_MAX).unref())
    child.once('error', reject)
    child.once('exit', (code, killed) => {
      if (done && failed === undefined) resolve(measured)
      else reject(new Error(failed ?? `the driver ended with ${killed ?? `code ${code}`}`))
    })
    child.send(job)
  })
}
