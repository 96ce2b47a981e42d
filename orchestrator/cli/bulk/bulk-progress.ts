import type { Clock } from '../../core/clock.js'
import type { Context } from '../context.js'
import { barOf, DrawnLine } from '../drawn-line.js'
import { spanOf } from '../operation-view.js'
import { counted } from '../words.js'

/** How often something is shown: a line that stays is to be worth it. */
const DRAWN_EVERY_MS = 100
const SAID_EVERY_MS = 5_000

/** Shows how far an import or an export is, on stderr: a bar on a terminal, else a line every few seconds. */
export class BulkProgress {
  readonly #began: number
  readonly #line: DrawnLine
  #shown: number

  /** `total`: of bytes or rows; undefined: it is not known. `before`: what of it, and how many rows, were done already. */
  constructor(
    private readonly context: Pick<Context, 'warn' | 'columns'>,
    private readonly clock: Clock,
    private readonly total: number | undefined,
    private readonly before: { readonly done: number; readonly rows: number },
  ) {
    this.#began = clock.monotonic()
    this.#shown = this.#began
    this.#line = new DrawnLine(context)
  }

  get seconds(): number {
    return (this.clock.monotonic() - this.#began) / 1_000
  }

  show(done: number, rows: number): void {
    const now = this.clock.monotonic()
    if (now - this.#shown < (this.#line.canDraw ? DRAWN_EVERY_MS : SAID_EVERY_MS)) return
    this.#shown = now
    const share = this.total === undefined ? undefined : Math.min(1, done / Math.max(1, this.total))
    const parts = [counted(rows, 'row'), rateOf(rows - this.before.rows, this.seconds), this.#eta(done)]
    if (this.#line.canDraw)
      this.#line.draw([share === undefined ? '' : barOf(share), ...parts].filter(isSaid).join('  '))
    else {
      const percent = share === undefined ? '' : `${Math.floor(share * 100)} %`
      this.context.warn(`${[percent, ...parts].filter(isSaid).join(', ')}\n`)
    }
  }

  /** Other words may follow. */
  clear(): void {
    this.#line.clear()
  }

  #eta(done: number): string {
    const [since, left] = [done - this.before.done, (this.total ?? 0) - done]
    return since <= 0 || left <= 0 ? '' : `ETA ${spanOf(((this.seconds * 1_000) / since) * left)}`
  }
}

const isSaid = (part: string) => part !== ''

/** "1,000,000" */
function grouped(count: number): string {
  return count.toLocaleString('en-US')
}

/** "26,316/s" */
export function rateOf(rows: number, seconds: number): string {
  return `${grouped(Math.round(rows / Math.max(seconds, 0.001)))}/s`
}
