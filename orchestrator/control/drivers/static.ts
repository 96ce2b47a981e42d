import { connect } from 'node:net'
import { type Clock, systemClock } from '../../core/clock.js'
import { isLoopback } from '../../wire/listener.js'
import { NodeAdmin, type NodeStatus } from '../../wire/node-admin.js'
import { type NodePlace, nodeName } from '../data-directory.js'
import { StartFault, UsageFault } from '../faults.js'
import { ELSEWHERE } from '../machines.js'
import type { Driver, Exit, NodeProcess, NodeSpec } from './driver.js'
import { flagsOf, type NodeSettings } from './settings.js'
import type { StaticNodes } from './static-nodes.js'

const PROBE_MS = 500

function otherProgram(): StartFault {
  return new StartFault(
    'these nodes are started by somebody else (--driver static), who starts them with another program',
  )
}

/** Nodes that run already, wherever they are listed. Nothing is started, ended or removed here: a person is told what to do. */
export function staticDriver(list: StaticNodes, settings: NodeSettings, clock: Clock = systemClock): Driver {
  const addressOf = (place: NodePlace): string => {
    const address = list.nodes[nodeName(place)]
    if (address === undefined)
      throw new UsageFault(`the list of --nodes has no ${nodeName(place)}: add it and start again`)
    return address
  }
  return {
    roams: true,
    program: 'the node program of whoever starts the nodes',
    check: (program) => {
      if (program !== undefined) throw otherProgram()
    },
    build: async () => '',
    inspect: async () => {
      throw otherProgram()
    },
    machines: async () => [{ name: ELSEWHERE, zone: ELSEWHERE }],
    directoryOf: (place, machine) => {
      if (machine === ELSEWHERE) return ''
      throw new StartFault(`${nodeName(place)} was started on ${machine}: --driver static cannot take it over`)
    },
    expectRoom: (places) => {
      for (const place of places) addressOf(place)
    },
    holds: async () => true,
    remove: async (spec) => {
      const address = list.nodes[nodeName(spec)]
      // Whoever took it off the list has seen to it.
      const status = address === undefined ? undefined : await probe(address, clock)
      if (status === undefined || !isMeant(status, spec)) return
      throw new StartFault(`${spec.name} on ${address} is not needed any more: stop it and remove ${status.dataDir}`)
    },
    find: async (spec) => {
      const address = list.nodes[nodeName(spec)]
      if (address === undefined) return undefined
      const status = await probe(address, clock)
      if (status === undefined || !isMeant(status, spec)) return undefined
      return new ForeignProcess(status.pid, () => isGone(address, status.pid, clock))
    },
    spawn: async (spec, address, peers) => {
      throw new StartFault(
        `it has to be started by whoever looks after it: ${commandLine(spec, address, peers, settings)}`,
      )
    },
    freeAddress: async (_, place) => addressOf(place),
    close: async () => {},
  }
}

function isMeant({ clusterId, shard }: NodeStatus, spec: NodeSpec): boolean {
  return clusterId === spec.clusterId && shard === spec.shard
}

/** Exactly what a person can paste, but for the directory, which is theirs to choose. */
function commandLine(
  { clusterId, shard, name }: NodeSpec,
  address: string,
  peers: readonly { readonly id: string; readonly address: string }[],
  settings: NodeSettings,
): string {
  const known = peers.map((peer) => `${peer.id}=${peer.address}`).join(',')
  const words = [
    'kvnode',
    '--data',
    `./data/${name}`,
    '--cluster',
    clusterId,
    '--shard',
    `${shard}`,
    '--listen',
    address,
  ]
  if (known !== '') words.push('--peers', known)
  if (!isLoopback(address.replace(/:\d+$/, ''))) words.push('--insecure')
  return [...words, ...flagsOf(settings)].join(' ')
}

/** A process that is not ours to signal. What it does is known by its connections. */
class ForeignProcess implements NodeProcess {
  readonly adopted = true
  readonly exited: Promise<Exit>
  #end: (exit: Exit) => void = () => {}
  #checking = false

  constructor(
    readonly pid: number,
    private readonly isGone: () => Promise<boolean>,
  ) {
    this.exited = new Promise((resolve) => {
      this.#end = resolve
    })
  }

  check(): void {
    if (this.#checking) return
    this.#checking = true
    void this.isGone().then((gone) => {
      this.#checking = false
      if (gone) this.#end({ lastWords: 'nobody listens on its address, or another process does' })
    })
  }

  /** Who wanted to end it goes on: it is left to whoever has started it. */
  signal(): void {
    this.#end({ left: 'stopping it is left to whoever has started it' })
  }

  forget(): void {}
}

/** Only if that is certain: a host that says nothing may be cut off. */
async function isGone(address: string, pid: number, clock: Clock): Promise<boolean> {
  const status = await probe(address, clock)
  return status === undefined ? isRefused(address) : status.pid !== pid
}

async function probe(address: string, clock: Clock): Promise<NodeStatus | undefined> {
  const admin = new NodeAdmin(address, clock)
  try {
    return await admin.status({ deadlineMs: PROBE_MS })
  } catch {
    // Nobody listens there, or nothing that is a node, or nothing is heard.
    return undefined
  } finally {
    admin.close()
  }
}

/** Whether the host itself says that nobody listens. */
function isRefused(address: string): Promise<boolean> {
  const [, host = '', port = ''] = /^(.*):(\d+)$/.exec(address) ?? []
  return new Promise((resolve) => {
    const socket = connect({ host: host.replace(/^\[|\]$/g, ''), port: Number(port), timeout: PROBE_MS })
    const answer = (refused: boolean) => {
      socket.destroy()
      resolve(refused)
    }
    socket.once('connect', () => answer(false))
    socket.once('timeout', () => answer(false))
    socket.once('error', ({ code }: NodeJS.ErrnoException) => answer(code === 'ECONNREFUSED'))
  })
}
