import { rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathFault, StartFault } from './faults.js'
import { makeDirectory } from './make-directory.js'

/** Which node of the cluster: everything else about it follows. */
export interface NodePlace {
  /** 0 is meta. */
  readonly shard: number
  /** From 1. */
  readonly index: number
}

/** "meta" or "shard-2": a group's name for people, and its directory. */
export function groupName(shard: number): string {
  return shard === 0 ? 'meta' : `shard-${shard}`
}

/** "shard-2/node-1": a node's name for people, and its directory. */
export function nodeName({ shard, index }: NodePlace): string {
  return `${groupName(shard)}/node-${index}`
}

/**
 * Room that must be left for a start to make sense. A node begins with a segment of its Raft log (4 MiB, really
 * allocated) and some files; one that has begun already needs room to go on.
 */
const ROOM_PER_NEW_NODE_BYTES = 6 << 20
const ROOM_BYTES = 1 << 20

/** Where everything lies. Paths are absolute: processes carry them in their command lines. */
export class DataDirectory {
  readonly path: string

  constructor(
    /** As the user gave it: this is how it is shown. */
    readonly given: string,
  ) {
    this.path = resolve(given)
  }

  get registry(): string {
    return join(this.path, 'orchestrator')
  }

  get owner(): string {
    return join(this.path, 'orchestrator.json')
  }

  /** What the proxy between the nodes has left (--fault-proxy); absent when there has never been one. */
  get faultProxy(): string {
    return join(this.path, 'fault-proxy')
  }

  /** The node programs that were taken in, each in a folder of its own. */
  get programs(): string {
    return join(this.path, 'bin')
  }

  /** Processes of nodes are told by their program's name, wherever it lies. */
  program(name: string): string {
    return join(this.programs, name, 'kvnode')
  }

  node(place: NodePlace): string {
    return join(this.path, nodeName(place))
  }

  /** Makes it if it is absent. Throws a StartFault. */
  make(): void {
    try {
      makeDirectory(this.path)
    } catch (error) {
      throw pathFault('the data directory', this.given, error)
    }
  }

  /** Makes it if it is absent, and makes sure that it can be written. Throws a StartFault. */
  prepare(): void {
    const probe = join(this.path, `.probe-${process.pid}`)
    try {
      makeDirectory(this.path)
      try {
        writeFileSync(probe, Buffer.alloc(ROOM_BYTES), { flush: true })
      } finally {
        rmSync(probe, { force: true })
      }
    } catch (error) {
      throw pathFault('the data directory', this.given, error)
    }
  }

  /** Makes sure that there is room for nodes that have no data yet. Throws a StartFault. */
  expectRoom(newNodes: number): void {
    const { bavail, bsize } = statfsSync(this.path)
    const needed = newNodes * ROOM_PER_NEW_NODE_BYTES
    if (bavail * bsize >= needed) return
    const mib = (bytes: number) => Math.floor(bytes / (1 << 20))
    throw new StartFault(
      `the data directory ${this.given} has room for ${mib(bavail * bsize)} MiB; ${newNodes} new nodes need ` +
        `${mib(needed)} MiB to begin with: make room, or start fewer of them`,
    )
  }
}
