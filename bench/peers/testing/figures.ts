import type { Figures } from '../protocol.js'

export function figures(some: Partial<Figures> = {}): Figures {
  const zero = { p50Ms: 0, p99Ms: 0, clientCpuUs: 0, serversCpuUs: 0, operations: 1, errors: 0 }
  return { operationsPerSecond: 1, ...zero, ...some }
}
