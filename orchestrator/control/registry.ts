import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { Level } from 'level'
import type { Rng } from '../core/rng.js'
import type { DataDirectory, NodePlace } from './data-directory.js'
import { nodeName } from './data-directory.js'
import { InUseFault, pathFault, StartFault } from './faults.js'
import { expectRegistry, lostRegistry } from './lost-registry.js'
import { type GroupRecord, readGroup } from './membership.js'
import type { Known } from './registry-rows.js'

// What an orchestrator must know to find its cluster again: which one it is, its processes, and the last map. It lies
// in `level`, whose lock is also the lock of the data directory: the kernel drops it when its owner dies, however it
// dies. Every write is fsynced before its promise resolves, because what follows it depends on it.

export interface ClusterRecord {
  readonly format: 1
  readonly clusterId: string
  /**
   * Groups 1 to this one are to run. It grows before a new one is made, and shrinks when the map in meta does not have
   * a group any more: the nodes of a greater one are left over.
   */
  readonly shards: number
  /** How many nodes a new group has. An operation that changes it writes it down when every group has so many. */
  readonly replicas: number
  /** What nodes are started with that are new: the name of a program that was taken in. Absent: the driver's own. */
  readonly program?: string
}

export interface NodeRecord extends NodePlace {
  /** Where it runs and has its data, for ever. Absent in what earlier versions wrote: on this machine. */
  readonly machine?: string
  /** host:port. Chosen before the node is started for the first time; changed only when somebody else took it. */
  readonly address: string
  /** The process that was last started or adopted. It may be gone. */
  readonly pid?: number
  /** Ms since 1970. */
  readonly startedAt?: number
  /** What that process was started with: the name of a program that was taken in. Absent: the driver's own. */
  readonly program?: string
  /** What that program was, byte for byte: a path alone may hold another one by now. */
  readonly build?: string
  /** For what that process, or one before it since, was started in place of another: the stamp of a rolling operation. */
  readonly startedFor?: string
  /** Its group is no more, and its machine did not answer then: it is removed when that does. */
  readonly left?: boolean
}

/** Who is to lead nothing, because a person has asked for it. */
export interface DrainedRecord {
  /** Ids: a name may be another node's one day. */
  readonly nodes: readonly string[]
  /** With every node on them, whenever it came. New ones are placed elsewhere. */
  readonly machines: readonly string[]
}

const FORMAT = 1
const SYNC = { sync: true } as const

type Change =
  | { readonly type: 'put'; readonly key: string; readonly value: unknown }
  | { readonly type: 'del'; readonly key: string }

/** What a registry takes over from meta. */
interface Adopted {
  readonly known: Known
  /** The ids of the rows that it is from. */
  readonly bases: ReadonlyMap<string, string>
  /** In which they were read. */
  readonly term: number
  /** In the bytes of the wire. */
  readonly map: Uint8Array
}

export class Registry {
  /** Told of every write that concerns what meta has of it as well. */
  onWrite: () => void = () => {}
  readonly #level: Level<string, unknown>
  readonly #directory: DataDirectory
  /** What is to be written next, and when it is. */
  #waiting: Change[] = []
  #next: Promise<void> | undefined
  /** Never rejects. */
  #last: Promise<void> = Promise.resolve()
  /** A write has failed, and level's log may end in the middle of it. */
  #isTorn = false

  private constructor(directory: DataDirectory, level: Level<string, unknown>) {
    this.#directory = directory
    this.#level = level
  }

  /**
   * Opens it and takes the data directory's lock. Throws a StartFault, with the owner's pid when there is one. Makes it
   * only where no node is, or where meta has what it is to know (`isCopied`).
   */
  static async open(directory: DataDirectory, pid: number, isCopied = false): Promise<Registry> {
    if (!isCopied) expectRegistry(directory)
    // Level would make a fresh one in the place of one that was lost.
    const createIfMissing = isCopied || lostRegistry(directory) === undefined
    const level = new Level<string, unknown>(directory.registry, { valueEncoding: 'json', createIfMissing })
    try {
      await level.open()
    } catch (error) {
      throw openFault(directory, error)
    }
    writeOwner(directory, pid)
    return new Registry(directory, level)
  }

  async cluster(): Promise<ClusterRecord | undefined> {
    const record = (await this.#level.get('cluster')) as ClusterRecord | undefined
    if (record !== undefined && record.format !== FORMAT) {
      throw new StartFault(
        `${this.#directory.given} was made by a newer version (format ${record.format}, this one knows ${FORMAT})`,
      )
    }
    return record
  }

  async setCluster(record: ClusterRecord): Promise<void> {
    await this.#write([put('cluster', record)])
    this.onWrite()
  }

  /** Which registry this is: random, and made once. Whoever has its lock knows that nobody else acts on it. */
  async id(rng: Rng): Promise<string> {
    const has = (await this.#level.get('id')) as string | undefined
    const id = has ?? rng.id()
    if (has === undefined) await this.#write([put('id', id)])
    return id
  }

  /** The last term in which whoever had its lock gave orders to agents; 0: none. */
  async term(): Promise<number> {
    return ((await this.#level.get('term')) as number | undefined) ?? 0
  }

  async setTerm(term: number): Promise<void> {
    await this.#write([put('term', term)])
  }

  nodes(): Promise<NodeRecord[]> {
    return this.#all<NodeRecord>('node/')
  }

  async setNodes(records: readonly NodeRecord[]): Promise<void> {
    await this.#write(records.map((record) => put(`node/${nodeName(record)}`, record)))
    this.onWrite()
  }

  async groups(): Promise<GroupRecord[]> {
    return (await this.#all<unknown>('group/')).map(readGroup)
  }

  async setGroup(record: GroupRecord): Promise<void> {
    await this.#write([put(`group/${record.shard}`, record)])
    this.onWrite()
  }

  /** The last published map, in the bytes of the wire. */
  async map(): Promise<Uint8Array | undefined> {
    const text = (await this.#level.get('map')) as string | undefined
    return text === undefined ? undefined : Buffer.from(text, 'base64')
  }

  async setMap(bytes: Uint8Array): Promise<void> {
    await this.#write([put('map', Buffer.from(bytes).toString('base64'))])
  }

  async drained(): Promise<DrainedRecord> {
    return ((await this.#level.get('drained')) as DrainedRecord | undefined) ?? { nodes: [], machines: [] }
  }

  async setDrained(record: DrainedRecord): Promise<void> {
    await this.#write([put('drained', record)])
    this.onWrite()
  }

  /** Forgets a node, of which nothing must be left. */
  async forgetNode(place: NodePlace): Promise<void> {
    await this.#write([{ type: 'del', key: `node/${nodeName(place)}` }])
    this.onWrite()
  }

  /** Forgets a group and its nodes, of which nothing must be left, but for those that are marked so. */
  async forgetGroup(shard: number): Promise<void> {
    const nodes = (await this.nodes()).filter((node) => node.shard === shard && node.left !== true)
    const keys = [`group/${shard}`, ...nodes.map((node) => `node/${nodeName(node)}`)]
    await this.#write(keys.map((key) => ({ type: 'del', key })))
    this.onWrite()
  }

  /** Which content of each row of meta it goes on from, by key: of those that it has written or taken over. */
  async bases(): Promise<ReadonlyMap<string, string>> {
    return new Map(Object.entries(((await this.#level.get('bases')) as Record<string, string> | undefined) ?? {}))
  }

  async setBases(bases: ReadonlyMap<string, string>): Promise<void> {
    const [had, has] = [Object.fromEntries(await this.bases()), Object.fromEntries(bases)]
    if (JSON.stringify(had) !== JSON.stringify(has)) await this.#write([put('bases', has)])
  }

  /** Forgets what it knew for what meta has, in one write. A process that is where it was is still found by its pid. */
  async adopt({ known, bases, term, map }: Adopted): Promise<void> {
    const had = new Map((await this.nodes()).map((node) => [nodeName(node), node]))
    const groups = (await this.groups()).map(({ shard }) => `group/${shard}`)
    const gone = [...groups, ...[...had.keys()].map((name) => `node/${name}`)]
    const nodes = known.nodes.map((node) => {
      const before = had.get(nodeName(node))
      if (before === undefined || before.machine !== node.machine || before.address !== node.address) return node
      // What meta does not say of a node is not so: a name that was left over may be a new node's by now.
      const { left: _, startedFor: __, ...process } = before
      return { ...process, ...node }
    })
    await this.#write([
      ...gone.map((key) => ({ type: 'del' as const, key })),
      put('cluster', known.cluster),
      put('drained', known.drained),
      ...known.groups.map((group) => put(`group/${group.shard}`, group)),
      ...nodes.map((node) => put(`node/${nodeName(node)}`, node)),
      put('bases', Object.fromEntries(bases)),
      put('term', term),
      put('map', Buffer.from(map).toString('base64')),
    ])
  }

  async close(): Promise<void> {
    rmSync(this.#directory.owner, { force: true })
    await this.#last
    await this.#level.close()
  }

  /** One write at a time, so that none follows one that failed; what comes meanwhile goes together into the next. */
  #write(changes: readonly Change[]): Promise<void> {
    this.#waiting.push(...changes)
    if (this.#next === undefined) {
      const next = this.#last.then(() => {
        const all = this.#waiting
        this.#waiting = []
        this.#next = undefined
        return this.#writeNow(all)
      })
      this.#next = next
      this.#last = next.catch(() => {})
    }
    return this.#next
  }

  /** A full disk may cut a write off in the middle. Level would write on behind it, and find nothing of that later. */
  async #writeNow(changes: readonly Change[]): Promise<void> {
    if (this.#isTorn) await this.#reopen()
    try {
      await this.#level.batch([...changes], SYNC)
    } catch (error) {
      this.#isTorn = true
      throw error
    }
  }

  /** Level begins another log then. */
  async #reopen(): Promise<void> {
    try {
      await this.#level.close()
      await this.#level.open({ createIfMissing: false })
    } catch (error) {
      throw openFault(this.#directory, error)
    }
    this.#isTorn = false
  }

  async #all<Value>(prefix: string): Promise<Value[]> {
    return (await this.#level.values({ gte: prefix, lt: `${prefix}\uffff` }).all()) as Value[]
  }
}

function put(key: string, value: unknown): Change {
  return { type: 'put', key, value }
}

function openFault(directory: DataDirectory, error: unknown): StartFault {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const code = (cause as { code?: string }).code
  if (code === 'LEVEL_LOCKED') {
    const owner = readOwner(directory)
    const who = owner === undefined ? 'another orchestrator' : `the orchestrator with pid ${owner}`
    return new InUseFault(
      `the data directory ${directory.given} is in use by ${who}: stop it, or choose another --data`,
      owner,
    )
  }
  const lost = code === 'LEVEL_CORRUPTION' ? lostRegistry(directory, cause) : undefined
  return lost ?? pathFault('the registry', directory.registry, cause)
}

/** Only for people: the lock itself is level's. */
function writeOwner(directory: DataDirectory, pid: number): void {
  const fresh = `${directory.owner}.new`
  try {
    writeFileSync(fresh, `${JSON.stringify({ pid })}\n`)
    renameSync(fresh, directory.owner)
  } catch (error) {
    throw pathFault('the file', directory.owner, error)
  }
}

function readOwner(directory: DataDirectory): number | undefined {
  try {
    const { pid } = JSON.parse(readFileSync(directory.owner, 'utf8')) as { pid?: unknown }
    return typeof pid === 'number' ? pid : undefined
  } catch {
    return undefined
  }
}
