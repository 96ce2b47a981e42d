/** Work of which one is under way at a time: each begins when those before it have ended, however they did. */
export class Turns {
  /** Never rejects. */
  #last: Promise<unknown> = Promise.resolve()

  take<T>(work: () => T | Promise<T>): Promise<T> {
    const done = this.#last.then(work)
    this.#last = done.catch(() => {})
    return done
  }
}
