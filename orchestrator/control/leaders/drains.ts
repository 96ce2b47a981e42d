import { Turns } from '../../core/turns.js'
import type { NodePlace } from '../data-directory.js'
import type { Group } from '../group.js'
import type { DrainedRecord, Registry } from '../registry.js'
import type { Supervisor } from '../supervisor.js'

/** What a person names: a node, by its name or id, or a machine with all that is there. */
export type DrainTarget =
  | { readonly node: string; readonly machine?: undefined }
  | { readonly node?: undefined; readonly machine: string }

/** Who is to lead nothing, as the registry has it. */
export class Drains {
  readonly #turns = new Turns()

  private constructor(
    private readonly registry: Pick<Registry, 'setDrained'>,
    private record: DrainedRecord,
  ) {}

  static async open(registry: Pick<Registry, 'drained' | 'setDrained'>): Promise<Drains> {
    return new Drains(registry, await registry.drained())
  }

  get now(): DrainedRecord {
    return this.record
  }

  /** Written down before it takes effect. `next` sees what is there by now, and gives the same when nothing is to change. */
  change(next: (record: DrainedRecord) => DrainedRecord): Promise<void> {
    return this.#turns.take(async () => {
      const record = next(this.record)
      if (record === this.record) return
      await this.registry.setDrained(record)
      this.record = record
    })
  }
}

/** A node of one of the groups, with what a person may call it. */
export interface Known {
  readonly place: NodePlace
  readonly name: string
  /** Empty until it has told it. */
  readonly id: string
  readonly machine: string
}

export function knownNodes(groups: readonly Group[]): Known[] {
  return groups.flatMap((group) => group.nodes.map((node) => knownOf(group, node)))
}

export function knownOf(group: Group, { spec, name, status }: Supervisor): Known {
  const place = { shard: spec.shard, index: spec.index }
  return { place, name, id: group.idOf(spec.index) ?? status?.nodeId ?? '', machine: spec.machine }
}

export function isDrained({ nodes, machines }: DrainedRecord, { id, machine }: Pick<Known, 'id' | 'machine'>): boolean {
  return machines.includes(machine) || nodes.includes(id)
}

export function isMeant({ node, machine }: DrainTarget, known: Known): boolean {
  return machine === undefined ? known.name === node || known.id === node : known.machine === machine
}

/** With the target, or without it; the same when it is so already. Nodes that are no more are forgotten. */
export function withDrain(
  record: DrainedRecord,
  target: DrainTarget,
  undo: boolean,
  all: readonly Known[],
): DrainedRecord {
  const meant = target.machine ?? all.find((known) => isMeant(target, known))?.id ?? ''
  const key = target.machine === undefined ? 'nodes' : 'machines'
  if (meant === '' || record[key].includes(meant) !== undo) return record
  const marks = undo ? record[key].filter((one) => one !== meant) : [...record[key], meant]
  const changed = { ...record, [key]: marks }
  return { ...changed, nodes: changed.nodes.filter((id) => all.some((known) => known.id === id)) }
}
