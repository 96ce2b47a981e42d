import { closeSync, fstatSync } from 'node:fs'
import { createServer } from 'node:net'
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { execa } from 'execa'
import { type Clock, systemClock } from '../../core/clock.js'
import { type Rng, systemRng } from '../../core/rng.js'
import type { NodeInfo } from '../../core/topology.js'
import { hostPort, isLoopback } from '../../wire/listener.js'
import { NodeAdmin, type NodeStatus } from '../../wire/node-admin.js'
import { pathFault, StartFault } from '../faults.js'
import { THIS_MACHINE } from '../machines.js'
import { localDirectories, makeNodeDirectory } from './directories.js'
import type { Driver, Exit, LastSeen, NodeProcess, NodeSpec } from './driver.js'
import { lastWords, openNodeLog } from './node-log.js'
import { isNode, sendSignal } from './processes.js'
import { Builds, checkProgram, inspectProgram, wrappedFault } from './program.js'

export interface LocalOptions {
  /** The path of the node program. */
  readonly program: string
  /** More flags, the same for every node. */
  readonly flags: readonly string[]
  /** The program puts something before the node, so that no other one can take its place. */
  readonly wrapped?: boolean
  /** Where nodes listen; beyond loopback they are told that it is meant (--insecure). Default 127.0.0.1. */
  readonly host?: string
  readonly clock?: Clock
  readonly rng?: Rng
}

const LOOPBACK = '127.0.0.1'
/** Below the ports that systems give to outgoing connections, which could take one while its node is down. */
const PORT_MIN = 20_000
const PORT_MAX = 32_000
const PORT_TRIES = 100
/** How long a node that is there may take to say so. */
const PROBE_MS = 500
/** How often a process that is not our child is looked at; nobody tells us when it ends. */
const LOOK_EVERY_MS = 500
const LOOK_EVERY_MS_WHEN_SIGNALLED = 20

/** Nodes as processes on this machine. They outlive the orchestrator, and the next one finds them again. */
export function localDriver(options: LocalOptions): Driver {
  const { flags, wrapped = false, host = LOOPBACK, clock = systemClock, rng = systemRng } = options
  const path = resolve(options.program)
  const more = isLoopback(host) ? flags : [...flags, '--insecure']
  const builds = new Builds()
  return {
    ...localDirectories,
    program: path,
    check: (program) => {
      if (wrapped && program !== undefined) throw wrappedFault(path)
      if (program === undefined) checkProgram(path, 'build it (npm run build)')
      else checkProgram(program, 'kvorum upgrade took it in; put it back')
    },
    build: async (program = path) => builds.of(program),
    inspect: async (program, called) => {
      if (wrapped) throw wrappedFault(path)
      return inspectProgram(program, called)
    },
    machines: async () => [{ name: THIS_MACHINE, zone: THIS_MACHINE }],
    close: async () => {},
    find: async (spec, last) => {
      const isIt = (pid: number) => isNode(pid, spec.directory, path)
      const pid = await findPid(spec, last, isIt, clock)
      return pid === undefined ? undefined : new AdoptedProcess(pid, spec.directory, isIt, clock)
    },
    spawn: (spec, address, peers, program = path) =>
      spawnNode(program, [...argumentsOf(spec, address, peers), ...more], spec),
    freeAddress: async () => {
      for (let tries = 0; tries < PORT_TRIES; tries++) {
        const port = PORT_MIN + Math.floor(rng.float() * (PORT_MAX - PORT_MIN))
        if (await isFree(host, port)) return hostPort(host, port)
      }
      throw new StartFault(`no free port between ${PORT_MIN} and ${PORT_MAX} on ${host}`)
    },
  }
}

function argumentsOf(spec: NodeSpec, address: string, peers: readonly NodeInfo[]): string[] {
  const fixed = ['--data', spec.directory, '--cluster', spec.clusterId, '--shard', `${spec.shard}`, '--listen', address]
  const processors = processorsFor(spec.ofNodes, availableParallelism())
  fixed.push('--processors', `${processors}`)
  const known = peers.map((peer) => `${peer.id}=${peer.address}`).join(',')
  return known === '' ? fixed : [...fixed, '--peers', known]
}

async function spawnNode(program: string, argv: string[], spec: NodeSpec): Promise<NodeProcess> {
  makeNodeDirectory(spec)
  const log = openLog(spec)
  const since = fstatSync(log).size
  // execa passes any descriptor on; its types name only those up to 9.
  const output = log as 3
  try {
    const child = execa(program, argv, {
      cwd: spec.directory,
      // Its own session: a Ctrl-C in our terminal is not meant for it, and it outlives us.
      detached: true,
      cleanup: false,
      stdin: 'ignore',
      stdout: output,
      stderr: output,
      buffer: false,
      reject: false,
    })
    child.unref()
    const ended = child.then((result) => result)
    if (child.pid === undefined) throw new StartFault(`cannot start ${program}: ${(await ended).originalMessage}`)
    return new ChildProcess(
      child.pid,
      ended.then((result) => exitOf(result, spec.directory, since)),
    )
  } finally {
    closeSync(log)
  }
}

/**
 * How many processors a node may use at once. Many nodes on few processors: each thread that wakes another one only takes
 * the processor from a third (figures in bench/README.md). Twice a fair share, because leaders do most of the work.
 */
export function processorsFor(nodes: number, available: number): number {
  return Math.max(1, Math.min(available, Math.ceil((2 * available) / nodes)))
}

function openLog(spec: NodeSpec): number {
  try {
    return openNodeLog(spec.directory)
  } catch (error) {
    throw pathFault(`the directory of ${spec.name},`, spec.directory, error)
  }
}

function exitOf(result: { exitCode?: number; signal?: string }, directory: string, since: number): Exit {
  return { code: result.exitCode, signal: result.signal, lastWords: lastWords(directory, since) }
}

class ChildProcess implements NodeProcess {
  readonly adopted = false
  #gone = false

  constructor(
    readonly pid: number,
    readonly exited: Promise<Exit>,
  ) {
    void exited.then(() => {
      this.#gone = true
    })
  }

  /** The operating system tells us at once. */
  check(): void {}

  signal(signal: 'SIGTERM' | 'SIGKILL'): void {
    if (!this.#gone) sendSignal(this.pid, signal)
  }

  /** It was detached when it was started. */
  forget(): void {}
}

/** Whether the process of this pid is the node that is meant. */
type IsIt = (pid: number) => boolean

class AdoptedProcess implements NodeProcess {
  readonly adopted = true
  readonly exited: Promise<Exit>
  #timer: { cancel(): void } | undefined
  #everyMs = LOOK_EVERY_MS
  #end: (exit: Exit) => void = () => {}
  #gone = false

  constructor(
    readonly pid: number,
    private readonly directory: string,
    private readonly isIt: IsIt,
    private readonly clock: Clock,
  ) {
    this.exited = new Promise((resolve) => {
      this.#end = resolve
    })
    this.check()
  }

  check(): void {
    this.#timer?.cancel()
    if (this.#gone) return
    if (this.isIt(this.pid)) {
      this.#timer = this.clock.setTimeout(() => this.check(), this.#everyMs)
      return
    }
    this.#gone = true
    this.#end({ lastWords: lastWords(this.directory) })
  }

  signal(signal: 'SIGTERM' | 'SIGKILL'): void {
    this.check()
    if (this.#gone) return
    sendSignal(this.pid, signal)
    this.#everyMs = LOOK_EVERY_MS_WHEN_SIGNALLED
    this.check()
  }

  forget(): void {
    this.#timer?.cancel()
  }
}

/**
 * By the process that was started last; or, if the orchestrator died before it could write that down, by whoever
 * answers on the node's address and says that it is this node.
 */
async function findPid(spec: NodeSpec, last: LastSeen, isIt: IsIt, clock: Clock): Promise<number | undefined> {
  if (last.pid !== undefined && isIt(last.pid) && process.platform === 'linux') return last.pid
  const status = await probe(last.address, spec, clock)
  const same = status?.clusterId === spec.clusterId && status.shard === spec.shard && status.dataDir === spec.directory
  return same ? status.pid : undefined
}

async function probe(address: string, { clusterId, shard }: NodeSpec, clock: Clock): Promise<NodeStatus | undefined> {
  const admin = new NodeAdmin(address, clock, { cluster: clusterId, shard })
  try {
    return await admin.status({ deadlineMs: PROBE_MS })
  } catch {
    // Nobody listens there, or somebody else.
    return undefined
  } finally {
    admin.close()
  }
}

function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, host, () => server.close(() => resolve(true)))
  })
}
