import { Latency } from './latency.js'

export interface LoopResult {
  readonly perSecond: number
  readonly latency: Latency
}

/** `callers` loops in this process, each awaiting its operation before the next, for so long. */
export async function closedLoop(
  callers: number,
  seconds: number,
  operation: (caller: number, turn: number) => Promise<unknown>,
): Promise<LoopResult> {
  const latency = new Latency()
  const begin = performance.now()
  const end = begin + seconds * 1000
  const loop = async (caller: number): Promise<void> => {
    for (let turn = 0; performance.now() < end; turn++) {
      const started = performance.now()
      await operation(caller, turn)
      latency.recordMs(performance.now() - started)
    }
  }
  await Promise.all(Array.from({ length: callers }, (_, caller) => loop(caller)))
  return { perSecond: latency.count / ((performance.now() - begin) / 1000), latency }
}
