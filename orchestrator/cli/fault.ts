import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fromCheckout } from '../config/checkout.js'
import { sleep, systemClock } from '../core/clock.js'
import { kvError } from '../errors/index.js'
import type { Connection, Context, Form } from './context.js'
import { EXIT } from './exit-codes.js'
import type { FaultTask, NetworkFault } from './fault-task.js'
import { type Pause, pauseProcess, signalIfThere, wakeProcess } from './pause.js'
import { withControl } from './with-control.js'

/** What the command does to the machine, so that tests need no process. A process that is gone is no error. */
export interface Machine {
  /** The words of a process's command line; undefined where the system does not tell. Empty when it is gone. */
  argumentsOf(pid: number): readonly string[] | undefined
  kill(pid: number): void
  /** Gives whether it runs again. It ends also if we are killed meanwhile, and early when a person wants us to end. */
  pause(pause: Pause, begun: () => void): Promise<boolean>
  /** Ends every pause. Gives whether there was one. */
  wake(pid: number, directory: string): boolean
  /** What orders the proxy between the nodes about; undefined where the project is not. */
  network(): Promise<Network | undefined>
  /** Ends early when a person or the system wants us to end. */
  wait(ms: number): Promise<void>
}

/** The proxy of a cluster, by the cluster's data directory. Where there is none: undefined, and false, as where nothing was to be healed. */
export interface Network {
  begin(data: string, fault: NetworkFault): Promise<(() => Promise<void>) | undefined>
  heal(data: string, node?: string): Promise<boolean>
}

const LOOPBACK = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\]):/

/** A node as the orchestrator knows it. */
interface Found {
  readonly name: string
  readonly id: string
  /** Of its data, and of the cluster's; empty when no node has ever told. */
  readonly directory: string
  readonly data: string
  /** Undefined when it has ended. */
  readonly pid: number | undefined
}

/** Tells what was done to whom. */
type Tell = (did: string, node: Found) => void

/** Breaks a node and heals it. Gives the exit code; rejects with a KvError when the node cannot be found. */
export async function fault(
  task: FaultTask,
  { json }: Form,
  { address, timeoutMs }: Connection,
  { out, warn }: Context,
  machine: Machine = thisMachine,
): Promise<number> {
  // Its processes would be strangers here.
  if (!LOOPBACK.test(address)) throw new TypeError(`faults are for a cluster on this machine, not on ${address}`)
  const nodes = await nodesAt({ address, timeoutMs }, machine)
  const chosen = task.node === undefined ? nodes : [nodeCalled(task.node, nodes)]
  const tell: Tell = (did, { name, pid }) => {
    out(
      json
        ? `${JSON.stringify({ node: name, pid, did })}\n`
        : `${did} ${name}${pid === undefined ? '' : ` (pid ${pid})`}\n`,
    )
  }
  for (const node of chosen) {
    const done = await carryOut(task, node, machine, tell)
    if (done) continue
    const how = 'stop the cluster, and start it with npm start -- --fault-proxy (the data stays)'
    warn(`kvorum: a ${task.fault} needs the proxy between the nodes, and none answers: ${how}\n`)
    return EXIT.failed
  }
  return EXIT.ok
}

/** False when it needs a proxy that is not there. */
async function carryOut(task: FaultTask, node: Found, machine: Machine, tell: Tell): Promise<boolean> {
  switch (task.fault) {
    case 'heal': {
      const network = await machine.network()
      const mended = (await network?.heal(node.data, node.name)) === true
      if (!mended && task.node !== undefined) mustRun(node)
      const woken = node.pid !== undefined && machine.wake(node.pid, node.directory)
      tell(mended || woken ? 'healed' : 'nothing to heal:', node)
      return true
    }
    case 'kill':
      machine.kill(mustRun(node))
      tell('killed', node)
      return true
    case 'pause': {
      const { forMs } = task
      const pause = { pid: mustRun(node), directory: node.directory, forMs }
      const runs = await machine.pause(pause, () => tell('paused', node))
      tell(runs ? 'healed' : 'still paused by another command:', node)
      return true
    }
    default:
      return breakNetwork({ ...task, node: node.name }, node, machine, tell)
  }
}

async function breakNetwork(task: NetworkFault, node: Found, machine: Machine, tell: Tell): Promise<boolean> {
  const network = await machine.network()
  const heal = await network?.begin(node.data, task)
  if (heal === undefined) return false
  tell(task.fault === 'delay' ? 'delayed' : 'cut off', node)
  try {
    await machine.wait(task.forMs)
  } finally {
    await heal()
  }
  tell('healed', node)
  return true
}

async function nodesAt(connection: Connection, machine: Machine): Promise<Found[]> {
  const { groups } = await withControl(connection, (client, deadline) => client.status(deadline))
  const reports = groups.flatMap((group) => group.nodes)
  // One that has not told yet where it is lies beside the others: <data>/shard-1/node-2.
  const known = reports.find(({ status }) => (status?.dataDir ?? '') !== '')?.status?.dataDir ?? ''
  const data = known === '' ? '' : dirname(dirname(known))
  return reports.map(({ name, status }) => {
    const { pid = 0, dataDir: directory = '', nodeId: id = '' } = status ?? {}
    // Its pid may be somebody else's by now.
    const argv = machine.argumentsOf(pid)
    const runs = pid !== 0 && (argv === undefined || argv.includes(directory))
    return { name, id, directory, data, pid: runs ? pid : undefined }
  })
}

function nodeCalled(wanted: string, nodes: readonly Found[]): Found {
  const found = nodes.find(({ name, id }) => name === wanted || (id !== '' && id === wanted))
  if (found !== undefined) return found
  const names = nodes.map(({ name }) => name).join(', ')
  throw new TypeError(`there is no node ${JSON.stringify(wanted)}; there are ${names}`)
}

function mustRun({ name, pid }: Found): number {
  if (pid !== undefined) return pid
  throw kvError('UNAVAILABLE', `${name} has no process on this machine`, { outcome: 'not-applied' })
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
  kill: (pid) => signalIfThere(pid, 'SIGKILL'),
  pause: pauseProcess,
  wake: wakeProcess,
  network: () => fromCheckout<Network>('test/chaos/by-hand/network.js'),
  wait: async (ms) => {
    const ended = new AbortController()
    const end = () => ended.abort()
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
    for (const name of signals) process.once(name, end)
    await sleep(systemClock, ms, ended.signal).catch(() => undefined)
    for (const name of signals) process.off(name, end)
  },
}
