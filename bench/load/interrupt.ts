// Ctrl-C, SIGTERM or a closed terminal: everything that was started ends in the usual order, and no server and no folder
// stays behind.

/** As a shell says it of what a signal has ended. */
export const INTERRUPTED = 130

const controller = new AbortController()

export const interrupted: AbortSignal = controller.signal

/** From now on a signal is no end but an abort. Further ones change nothing: npm passes on what a keyboard has sent. */
export function listenForSignals(): void {
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (interrupted.aborted) return
      console.error('bench: stopping')
      controller.abort(new Error(`interrupted by ${name}`))
    })
  }
}

const stopped = new Promise<never>((_, reject) => {
  interrupted.addEventListener('abort', () => reject(interrupted.reason as Error), { once: true })
})
// It is nobody's fault if nobody waits.
stopped.catch(() => undefined)

/** For work that looks at no signal: rejects when one comes, and leaves the work to whoever takes its cluster away. */
export function untilInterrupted<T>(work: Promise<T>): Promise<T> {
  // What the work says after that is about the missing cluster.
  work.catch(() => undefined)
  return Promise.race([work, stopped])
}
