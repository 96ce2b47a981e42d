// Ctrl-C, SIGTERM or a closed terminal ends the driver that works, and then everything in the usual order: no server
// and no folder stays behind.
const controller = new AbortController()

export const interrupted: AbortSignal = controller.signal

/** From now on a signal is no end but an abort. Once is enough: who sends a second one means it. */
export function listenForSignals(): void {
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(name, () => controller.abort(new Error(`interrupted by ${name}`)))
  }
}
