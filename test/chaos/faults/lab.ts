// What the faults of a run share: the proxy between the nodes, and a node program that is reached through it and whose disk
// and clock fail as they are told.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HELD_BACK } from '../../harness/node-program.js'
import { ROOT } from '../../harness/root.js'
import type { Preparation, Scene } from './fault.js'
import { FaultProxy, PROXY_PROGRAM } from './proxy.js'

const NODE_PROGRAM = join(ROOT, 'dist/bin/faults/kvnode')

/**
 * Snapshots, cut logs, new segments and merges come often: the least that kvnode takes. Only with the bulk of a storm of
 * snapshots; what else a run writes takes minutes to fill them.
 */
const SMALL_FILES = ['--compact-bytes', '1048576', '--trailing-bytes', '1', '--segment-bytes', '1048576']

/** Why there can be no lab here; undefined when there can. */
export const whyNoLab = process.platform === 'linux' ? undefined : 'only Linux has all of 127.0.0.0/8 as loopback'

export class Lab {
  readonly proxy: FaultProxy
  /** For `--kvnode`: each node becomes a host of its own, behind the proxy. */
  readonly program: string
  readonly #folder: string

  /** Whoever opens it closes it, after the cluster is gone. */
  static async open(): Promise<Lab> {
    const folder = mkdtempSync(join(tmpdir(), 'kvorum-lab-'))
    try {
      return new Lab(folder, await FaultProxy.start())
    } catch (error) {
      rmSync(folder, { recursive: true, force: true })
      throw error
    }
  }

  private constructor(folder: string, proxy: FaultProxy) {
    this.#folder = folder
    this.proxy = proxy
    this.program = join(folder, 'kvnode')
    const launch = `"${PROXY_PROGRAM}" launch --control ${proxy.control} --program "${NODE_PROGRAM}" -- "$@" ${SMALL_FILES.join(' ')}`
    writeFileSync(this.program, `#!/bin/sh\n${HELD_BACK}\nexec ${launch}\n`, { mode: 0o755 })
  }

  /** Flags of the orchestrator. */
  get args(): readonly string[] {
    return ['--kvnode', this.program]
  }

  async close(): Promise<void> {
    await this.proxy.close()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** One lab for all kinds of faults of a run: the first that is prepared opens it, the last that is closed closes it. */
export class SharedLab {
  #opening: Promise<Lab> | undefined
  #users = 0

  async prepare(): Promise<Preparation> {
    const isFirst = this.#users++ === 0
    this.#opening ??= Lab.open()
    const lab = await this.#opening
    return { cluster: isFirst ? { args: lab.args } : {}, close: () => this.#close(lab) }
  }

  /** Where there can be no lab, nothing is prepared, and its faults are not possible. */
  async prepareIfPossible(): Promise<Preparation> {
    return whyNoLab === undefined ? this.prepare() : { cluster: {}, close: async () => undefined }
  }

  get isOpen(): boolean {
    return this.#opening !== undefined
  }

  /** Only between `prepare` and the last `close`. */
  async lab(): Promise<Lab> {
    if (this.#opening === undefined) throw new TypeError('the lab is not open')
    return this.#opening
  }

  async #close(lab: Lab): Promise<void> {
    if (--this.#users > 0) return
    this.#opening = undefined
    await lab.close()
  }
}

/** What all kinds of faults that need the lab have in common. */
export abstract class LabFault {
  readonly name: string
  readonly about: string
  readonly #replicasMin: number

  /** `replicasMin`: of a shard, for the fault to be one that it should bear. */
  constructor(
    protected readonly shared: SharedLab,
    { name, about }: { readonly name: string; readonly about: string },
    replicasMin = 1,
  ) {
    this.name = name
    this.about = about
    this.#replicasMin = replicasMin
  }

  prepare(): Promise<Preparation> {
    return this.shared.prepareIfPossible()
  }

  possible({ replicas }: Scene): boolean {
    return this.shared.isOpen && replicas >= this.#replicasMin
  }
}
