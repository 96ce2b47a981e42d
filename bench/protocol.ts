// What the benchmark and its worker processes say to each other.

export const VERBS = ['put', 'get', 'delete'] as const
export type Verb = (typeof VERBS)[number]

/** `kvorum` is RequestWrapper on Batch, `compat` is the package-less unary service. */
export const SERVICES = ['kvorum', 'compat'] as const
export type ServiceName = (typeof SERVICES)[number]
/** What programs speak that are written for Kvorum. The sanity check begins with the same. */
export const DEFAULT_SERVICE: ServiceName = 'kvorum'

export interface Job {
  readonly address: string
  readonly service: ServiceName
  readonly index: number
  readonly iterations: number
}

/** What a worker did; one latency in microseconds for each operation that succeeded. */
export interface WorkDone {
  readonly latenciesUs: Readonly<Record<Verb, Uint32Array>>
  readonly errors: number
  /** The first of them, in words; empty without any. */
  readonly firstError: string
}
