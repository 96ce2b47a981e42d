/** Whoever waits for something that changes now and then is woken at each change, and looks again. */
export class Changes {
  readonly #waiters = new Set<() => void>()

  /** Something has changed. */
  tell(): void {
    for (const wake of [...this.#waiters]) wake()
  }

  /** Resolves with the next change, or when `signal` is aborted. */
  next(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.#waiters.delete(wake)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      this.#waiters.add(wake)
      signal.addEventListener('abort', wake)
      if (signal.aborted) wake()
    })
  }

  /** Waits until it holds. Rejects with the signal's reason when it is aborted first. */
  async until(holds: () => boolean, signal: AbortSignal): Promise<void> {
    while (!holds()) {
      signal.throwIfAborted()
      await this.next(signal)
    }
  }
}
