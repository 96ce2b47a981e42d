import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { sleep, systemClock } from '../core/clock.js'
import { kvError } from '../errors/index.js'
import { ControlClient, type NodeReport } from '../wire/control.js'
import type { Connection, Context, Form } from './context.js'
import { EXIT } from './exit-codes.js'

/** What can be done to a node of a running cluster on this machine. */
export const FAULTS = ['pause', 'kill', 'partition', 'delay', 'heal'] as const
export type Fault = (typeof FAULTS)[number]

export interface FaultTask {
  readonly fault: Fault
  /** Its name as `kvorum status` shows it, "shard-1/node-2", or its id. */
  readonly node: string
  /** After so long it is healed, whatever becomes of this process. */
  readonly forMs: number
}

type Signal = 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'

/** What the command does to the machine, so that tests need no process. */
export interface Machine {
  /** The words of a process's command line; undefined where the system does not tell. Empty when it is gone. */
  argumentsOf(pid: number): readonly string[] | undefined
  signal(pid: number, signal: Signal): void
  /** Has somebody wake the process after that time, also if we are killed meanwhile. `end` calls it off. */
  guard(pid: number, forMs: number): { end(): void }
  /** Ends early when a person or the system wants us to end. */
  wait(ms: number): Promise<void>
}

const LOOPBACK = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\]):/

/** Breaks a node and heals it. Gives the exit code; rejects with a KvError when the node cannot be found. */
export async function fault(
  { fault: what, node, forMs }: FaultTask,
  { json }: Form,
  { address, timeoutMs }: Connection,
  { out, warn }: Context,
  machine: Machine = thisMachine,
): Promise<number> {
  if (what === 'partition' || what === 'delay') {
    const instead = `kvorum chaos --faults ${what} starts one that has it`
    warn(`kvorum: a ${what} needs a proxy between the nodes, which a cluster of npm start does not have: ${instead}\n`)
    return EXIT.failed
  }
  // Its processes would be strangers here.
  if (!LOOPBACK.test(address)) throw new TypeError(`faults are for a cluster on this machine, not on ${address}`)
  const { name, pid } = await find(node, address, timeoutMs, machine)
  const tell = (did: string) => {
    out(json ? `${JSON.stringify({ node: name, pid, did })}\n` : `${did} ${name} (pid ${pid})\n`)
  }
  if (what === 'kill') machine.signal(pid, 'SIGKILL')
  if (what === 'heal') machine.signal(pid, 'SIGCONT')
  if (what === 'pause') await pause(pid, forMs, machine, () => tell('paused'))
  tell({ kill: 'killed', heal: 'healed', pause: 'healed' }[what])
  return EXIT.ok
}

async function pause(pid: number, forMs: number, machine: Machine, begun: () => void): Promise<void> {
  // Before the pause, both: there is no moment in which nobody would end it.
  const guard = machine.guard(pid, forMs)
  const over = machine.wait(forMs)
  try {
    machine.signal(pid, 'SIGSTOP')
    begun()
    await over
  } finally {
    machine.signal(pid, 'SIGCONT')
    guard.end()
  }
}

async function find(
  wanted: string,
  address: string,
  deadlineMs: number,
  machine: Machine,
): Promise<{ name: string; pid: number }> {
  const client = new ControlClient(address)
  let nodes: NodeReport[]
  try {
    nodes = (await client.status({ deadlineMs })).groups.flatMap((group) => group.nodes)
  } finally {
    client.close()
  }
  const found = nodes.find(({ name, status }) => name === wanted || status?.nodeId === wanted)
  if (found === undefined) {
    const names = nodes.map(({ name }) => name).join(', ')
    throw new TypeError(`there is no node ${JSON.stringify(wanted)}; there are ${names}`)
  }
  const { pid = 0, dataDir = '' } = found.status ?? {}
  // Its pid may be somebody else's by now.
  const argv = machine.argumentsOf(pid)
  if (pid === 0 || (argv !== undefined && !argv.includes(dataDir))) {
    throw kvError('UNAVAILABLE', `${found.name} has no process on this machine`, { outcome: 'not-applied' })
  }
  return { name: found.name, pid }
}

const thisMachine: Machine = {
  argumentsOf: (pid) => {
    if (process.platform !== 'linux') return undefined
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
    } catch {
      return []
    }
  },
  signal: (pid, name) => {
    try {
      process.kill(pid, name)
    } catch (error) {
      // It ended meanwhile, which is one way to be healed.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  },
  guard: (pid, forMs) => {
    const script = `trap '' INT TERM HUP; sleep ${Math.ceil(forMs / 1_000)}; kill -CONT ${pid}`
    const child = spawn('sh', ['-c', script], { detached: true, stdio: 'ignore' })
    child.on('error', () => undefined)
    child.unref()
    return {
      // Its group: the sleep as well.
      end: () => {
        if (child.pid !== undefined) thisMachine.signal(-child.pid, 'SIGKILL')
      },
    }
  },
  wait: async (ms) => {
    const ended = new AbortController()
    const end = () => ended.abort()
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
    for (const name of signals) process.once(name, end)
    await sleep(systemClock, ms, ended.signal).catch(() => undefined)
    for (const name of signals) process.off(name, end)
  },
}
