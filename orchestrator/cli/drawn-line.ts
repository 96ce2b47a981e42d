import type { Context } from './context.js'

const BAR_WIDTH = 24
/** Back to the first column, and what stands there is gone. */
const ANEW = '\r\u001b[2K'

/** A line on stderr that is drawn again and again, for a terminal. */
export class DrawnLine {
  #drawn = false

  constructor(private readonly context: Pick<Context, 'warn' | 'columns'>) {}

  /** Whether there is a terminal; else lines are for whoever has something new to say. */
  get canDraw(): boolean {
    return this.context.columns > 0
  }

  draw(text: string): void {
    // A line that is broken could not be wiped away.
    this.context.warn(`${ANEW}${text.slice(0, this.context.columns - 1)}`)
    this.#drawn = true
  }

  /** Other words may follow. */
  clear(): void {
    if (this.#drawn) this.context.warn(ANEW)
    this.#drawn = false
  }
}

/** How much of something is done, from 0 to 1. */
export function barOf(share: number): string {
  const full = Math.round(share * BAR_WIDTH)
  return `[${'#'.repeat(full)}${'-'.repeat(BAR_WIDTH - full)}] ${Math.floor(share * 100)} %`
}
