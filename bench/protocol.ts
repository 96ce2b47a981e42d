// What the benchmark and its worker processes say to each other.

export const VERBS = ['put', 'get', 'delete'] as const
export type Verb = (typeof VERBS)[number]

/** `compat` is the package-less unary service, `kvorum` is RequestWrapper on Batch. */
export type ServiceName = 'compat' | 'kvorum'

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
