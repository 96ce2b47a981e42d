import type { Clock } from '../core/clock.js'
import type { Context } from './context.js'
import { amountOf, amountText, type OperationView, sizeText, spanOf } from './operation-view.js'

const BAR_WIDTH = 24
/** Back to the first column, and what stands there is gone. */
const ANEW = '\r\u001b[2K'

/**
 * Shows how far an operation is, on stderr: a line that is drawn again and again on a terminal, else a line whenever a move
 * has ended or something else is being done.
 */
export class Progress {
  readonly #began: number
  #first: OperationView | undefined
  #lastLine = ''
  #drawn = false

  constructor(
    private readonly context: Pick<Context, 'warn' | 'columns'>,
    private readonly clock: Clock,
  ) {
    this.#began = clock.monotonic()
  }

  show(view: OperationView): void {
    this.#first ??= view
    const { columns } = this.context
    if (columns > 0) {
      // A line that is broken could not be wiped away.
      this.context.warn(`${ANEW}${this.#bar(view).slice(0, columns - 1)}`)
      this.#drawn = true
      return
    }
    const line = `${this.#share(view)}${view.detail === '' ? '' : `, ${withoutPhase(view.detail)}`}`
    if (line === this.#lastLine) return
    this.#lastLine = line
    this.context.warn(`${line}\n`)
  }

  /** Other words may follow. */
  clear(): void {
    if (this.#drawn) this.context.warn(ANEW)
    this.#drawn = false
  }

  #bar(view: OperationView): string {
    const { done, total } = amountOf(view)
    const share = total === 0 ? 1 : done / total
    const full = Math.round(share * BAR_WIDTH)
    const bar = `[${'#'.repeat(full)}${'-'.repeat(BAR_WIDTH - full)}] ${Math.floor(share * 100)} %`
    const bytes = view.moves.length === 0 ? '' : sizeText(view.moves.reduce((sum, move) => sum + move.bytes, 0))
    const parts = [bar, amountText(view), bytes, this.#eta(view), view.detail]
    return parts.filter((part) => part !== '').join('  ')
  }

  #share(view: OperationView): string {
    return `${view.state}: ${amountText(view)}`
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

/** A phase lasts for moments: in lines it would be noise. */
function withoutPhase(detail: string): string {
  return detail.split(': ')[0] ?? detail
}
