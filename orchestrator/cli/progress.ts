import type { Clock } from '../core/clock.js'
import type { Context } from './context.js'
import { barOf, DrawnLine } from './drawn-line.js'
import { amountOf, amountText, countedKeys, type OperationView, sizeText, spanOf } from './operation-view.js'

/**
 * Shows how far an operation is, on stderr: a line that is drawn again and again on a terminal, else a line whenever a move
 * has ended or something else is being done.
 */
export class Progress {
  readonly #began: number
  #first: OperationView | undefined
  #lastLine = ''
  readonly #line: DrawnLine

  constructor(
    private readonly context: Pick<Context, 'warn' | 'columns'>,
    private readonly clock: Clock,
  ) {
    this.#began = clock.monotonic()
    this.#line = new DrawnLine(context)
  }

  show(view: OperationView): void {
    this.#first ??= view
    if (this.#line.canDraw) {
      this.#line.draw(this.#bar(view))
      return
    }
    const line = `${this.#words(view)}${view.detail === '' ? '' : `, ${withoutPhase(view.detail)}`}`
    if (line === this.#lastLine) return
    this.#lastLine = line
    this.context.warn(`${line}\n`)
  }

  /** Other words may follow. */
  clear(): void {
    this.#line.clear()
  }

  #bar(view: OperationView): string {
    const { done, total } = amountOf(view)
    const share = total === 0 ? 1 : done / total
    // How many keys there are is not known from the beginning.
    const bar = view.keys?.total === null ? '' : barOf(share)
    const bytes = view.moves.length === 0 ? '' : sizeText(view.moves.reduce((sum, move) => sum + move.bytes, 0))
    const parts = [bar, amountText(view), bytes, this.#eta(view), view.detail]
    return parts.filter((part) => part !== '').join('  ')
  }

  #words(view: OperationView): string {
    // Moves and steps are few. Of keys a line for every tenth will do.
    return `${view.state}: ${view.keys === null ? amountText(view) : tenthsOf(amountOf(view).done, view.keys.total)}`
  }

  /** By what has been done since this looks. Nothing of it is known before the first move or step has ended. */
  #eta(view: OperationView): string {
    const { done, total } = amountOf(view)
    const since = done - (this.#first === undefined ? 0 : amountOf(this.#first).done)
    const left = total - done
    if (since <= 0 || left <= 0 || view.state === 'paused') return ''
    const elapsedMs = this.clock.monotonic() - this.#began
    return `ETA ${spanOf((elapsedMs / since) * left)}`
  }
}

function tenthsOf(done: number, total: number | null): string {
  if (total === null) return 'keys that nobody has counted'
  return `${total === 0 ? 100 : Math.min(100, Math.floor((done / total) * 10) * 10)} % of ${countedKeys(total)}`
}

/** A phase lasts for moments: in lines it would be noise. */
function withoutPhase(detail: string): string {
  return detail.split(': ')[0] ?? detail
}
