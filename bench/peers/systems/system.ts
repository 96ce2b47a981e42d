/** A cluster that serves, on loopback. Whoever starts it stops it. */
export interface Running {
  /** host:port, as the client wants them. */
  readonly addresses: readonly string[]
  /** Every process that works for it. */
  readonly pids: readonly number[]
  /** The servers' version, in their own words. */
  readonly version: string
  stop(): Promise<void>
}

/** What can be started. */
export interface System {
  /** How to get what it needs, in one line; undefined when it is here. */
  missing(): string | undefined
  /** Gets it. `tell` hears what takes long. */
  install(tell: (what: string) => void): void
  start(): Promise<Running>
}
