import { Level } from 'level'
import { pathFault, StartFault } from '../control/faults.js'

/** Whom an agent obeys. */
export interface Allegiance {
  /** Undefined: nobody has started a node yet. */
  readonly clusterId: string | undefined
  /** The greatest that an order had. */
  readonly term: bigint
}

const KEY = 'allegiance'
const SYNC = { sync: true } as const

interface Stored {
  readonly format: 1
  readonly clusterId?: string
  /** In decimal: JSON has no such numbers. */
  readonly term: string
}

/**
 * What an agent must know after it was started again. It lies in `level`, whose lock is also the lock of the data directory:
 * the kernel drops it when its owner dies, however it dies.
 */
export class AgentRecord {
  /** A write has failed, and level's log may end in the middle of it: level would find nothing of what follows. */
  #isTorn = false

  private constructor(
    private readonly level: Level<string, unknown>,
    private readonly path: string,
    private value: Allegiance,
  ) {}

  /** Takes the lock. Rejects with a StartFault. */
  static async open(path: string): Promise<AgentRecord> {
    const level = new Level<string, unknown>(path, { valueEncoding: 'json' })
    try {
      await level.open()
    } catch (error) {
      throw openFault(path, error)
    }
    const stored = (await level.get(KEY)) as Stored | undefined
    if (stored !== undefined && stored.format !== 1) {
      await level.close()
      throw new StartFault(`${path} was made by a newer version (format ${stored.format}, this one knows 1)`)
    }
    return new AgentRecord(level, path, { clusterId: stored?.clusterId, term: BigInt(stored?.term ?? 0) })
  }

  get allegiance(): Allegiance {
    return this.value
  }

  /** Durable when it resolves. One at a time: the caller sees to that. */
  async set({ clusterId, term }: Allegiance): Promise<void> {
    if (this.#isTorn) await this.#reopen()
    const stored: Stored = { format: 1, clusterId, term: String(term) }
    try {
      await this.level.put(KEY, stored, SYNC)
    } catch (error) {
      this.#isTorn = true
      throw error
    }
    this.value = { clusterId, term }
  }

  async close(): Promise<void> {
    await this.level.close()
  }

  /** Level begins another log then. */
  async #reopen(): Promise<void> {
    try {
      await this.level.close()
      await this.level.open({ createIfMissing: false })
    } catch (error) {
      throw openFault(this.path, error)
    }
    this.#isTorn = false
  }
}

function openFault(path: string, error: unknown): StartFault {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const { code } = cause as { code?: string }
  if (code === 'LEVEL_LOCKED') {
    return new StartFault(`${path} is in use by another agent: stop it, or choose another --data`)
  }
  return pathFault('the record of the agent', path, cause)
}
