// The proxy of `npm start -- --fault-proxy`. Nodes outlive the orchestrator and do not reach each other without it, so it
// outlives the orchestrator as well; the next one finds it by its file, and starts another one when it has died.
import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { basename, join } from 'node:path'
import type { FaultProxy, FaultProxyOptions } from '../../../orchestrator/control/fault-proxy.js'
import { StartFault } from '../../../orchestrator/control/faults.js'
import { signal } from '../../harness/process.js'
import { within } from '../../harness/wait.js'
import { whyNoLab } from '../faults/lab.js'
import { PROXY_PROGRAM, READY } from '../faults/proxy.js'
import { answers, fileIn, readKept } from './kept.js'

const READY_MS_MAX = 10_000
const END_MS_MAX = 5_000
/** One that has lived so long counts as a good one; of the others so many are started after each other. */
const GOOD_MS = 10_000
const TRIES_MAX = 5

interface Running {
  readonly pid: number
  /** Resolves when it has ended, whoever has started it. Never rejects. */
  readonly ended: Promise<void>
  /** Nobody here cares any more; `ended` resolves. */
  forget(): void
}

/** Rejects with a StartFault. Whoever opens it closes it. */
export async function open(options: FaultProxyOptions): Promise<FaultProxy> {
  if (whyNoLab !== undefined) throw new StartFault(`--fault-proxy is not possible here: ${whyNoLab}`)
  const proxy = new StandingProxy(options)
  await proxy.begin()
  return proxy
}

class StandingProxy implements FaultProxy {
  readonly program: string
  readonly #options: FaultProxyOptions
  readonly #lost = new AbortController()
  #running: Running | undefined
  #watching: Promise<void> = Promise.resolve()
  #closed = false

  constructor(options: FaultProxyOptions) {
    this.#options = options
    // Processes of nodes are told by this name.
    this.program = join(options.folder, basename(options.program))
  }

  get lost(): AbortSignal {
    return this.#lost.signal
  }

  async begin(): Promise<void> {
    const { folder, program } = this.#options
    mkdirSync(folder, { recursive: true })
    const launch = `"${PROXY_PROGRAM}" launch --kept "${fileIn(folder)}" --program "${program}" -- "$@"`
    writeFileSync(this.program, `#!/bin/sh\nexec ${launch}\n`, { mode: 0o755 })
    this.#running = (await find(folder)) ?? (await start(folder))
    this.#watching = this.#watch(this.#running)
  }

  async close({ leave }: { readonly leave: boolean }): Promise<void> {
    this.#closed = true
    const running = this.#running
    if (leave) running?.forget()
    else if (running !== undefined) await end(running)
    await this.#watching
  }

  /** Starts another one whenever one ends, as long as that helps. */
  async #watch(first: Running): Promise<void> {
    let tries = 0
    for (let running = first; ; ) {
      const since = performance.now()
      await running.ended
      if (this.#closed) return
      tries = performance.now() - since > GOOD_MS ? 1 : tries + 1
      try {
        if (tries > TRIES_MAX) throw new StartFault(`it has ended ${tries} times, each time at once`)
        this.#options.lost('the nodes do not reach each other until it runs again, which is being tried')
        running = await start(this.#options.folder)
        this.#running = running
        if (this.#closed) await end(running)
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error)
        this.#lost.abort(
          new StartFault(`the proxy between the nodes is gone, and they do not reach each other: ${why}`),
        )
        return
      }
    }
  }
}

/** The one that an earlier orchestrator has left. */
async function find(folder: string): Promise<Running | undefined> {
  const kept = readKept(folder)
  return kept !== undefined && (await answers(folder, kept)) ? runningAt(kept.control, kept.pid) : undefined
}

/** Detached: a Ctrl-C in our terminal is not meant for it, and it outlives us. */
async function start(folder: string): Promise<Running> {
  const log = join(folder, 'proxy.log')
  const errors = openSync(log, 'w')
  const args = ['serve', '--keep', fileIn(folder)]
  const child = spawn(PROXY_PROGRAM, args, { detached: true, stdio: ['ignore', 'pipe', errors] })
  closeSync(errors)
  const ready = new Promise<string>((resolve, reject) => {
    child.stdout?.once('data', (line: Buffer) => resolve(READY.exec(String(line).trim())?.[1] ?? ''))
    child.once('error', reject)
    child.once('exit', () => reject(new Error(readFileSync(log, 'utf8').trim())))
  })
  try {
    const control = await within('the proxy to take orders', READY_MS_MAX, ready)
    return runningAt(control, child.pid ?? 0)
  } catch (error) {
    child.kill('SIGKILL')
    const why = error instanceof Error ? error.message : String(error)
    throw new StartFault(`the proxy ${PROXY_PROGRAM} cannot be started (npm run build builds it): ${why}`, {
      cause: error,
    })
  } finally {
    // It has said its only line.
    child.stdout?.destroy()
    child.unref()
  }
}

/** It tells us of its end by the end of an answer, which also tells of a process that is not our child. */
function runningAt(control: string, pid: number): Running {
  const asked = get(`http://${control}/life`, { agent: false })
  const ended = new Promise<void>((resolve) => {
    asked.once('response', (response) => response.resume().once('error', () => undefined))
    asked.once('error', () => undefined)
    asked.once('close', resolve)
  })
  return { pid, ended, forget: () => asked.destroy() }
}

async function end({ pid, ended }: Running): Promise<void> {
  signal(pid, 'SIGTERM')
  await within('the proxy to end', END_MS_MAX, ended).catch(() => signal(pid, 'SIGKILL'))
  await ended
}
