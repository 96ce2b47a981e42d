// What people see while it runs: lines, and on a terminal a few more below them that are written again and again.
import type { WriteStream } from 'node:tty'
import type { State, View } from '../run/settings.js'

const CLEAR_LINE = '\u001b[2K'
const UP = '\u001b[1A'

export interface Screen {
  readonly isTTY?: boolean
  readonly columns?: number
  write(text: string): unknown
}

export function viewFor(screen: Screen | WriteStream): View {
  return screen.isTTY === true ? new LiveView(screen) : new PlainView(screen)
}

class PlainView implements View {
  readonly live = false
  readonly #screen: Screen

  constructor(screen: Screen) {
    this.#screen = screen
  }

  say(text: string): void {
    this.#screen.write(`chaos: ${text}\n`)
  }

  state(): void {}
  end(): void {}
}

class LiveView implements View {
  readonly live = true
  readonly #screen: Screen
  #shown: readonly string[] = []

  constructor(screen: Screen) {
    this.#screen = screen
  }

  say(text: string): void {
    const below = this.#shown
    this.#erase()
    this.#screen.write(`${text}\n`)
    this.#show(below)
  }

  state({ round, rounds, phase, secondsLeft, operationsPerSecond, leaders }: State): void {
    const of = Number.isFinite(rounds) ? ` of ${rounds}` : ''
    const left = secondsLeft > 0 ? `${clock(secondsLeft)} of faults left` : 'no more faults'
    const rate = `${operationsPerSecond.toFixed(0)} operations/s`
    this.#erase()
    this.#show(['', `round ${round}${of}: ${phase}   ${rate}   ${left}`, ...leaders.map((leader) => `  ${leader}`)])
  }

  end(): void {
    this.#erase()
  }

  #show(lines: readonly string[]): void {
    this.#shown = lines
    // A line that wraps would not be erased whole.
    const most = (this.#screen.columns ?? 80) - 1
    for (const line of lines) this.#screen.write(`${line.slice(0, most)}\n`)
  }

  #erase(): void {
    this.#screen.write(`${UP}${CLEAR_LINE}`.repeat(this.#shown.length))
    this.#shown = []
  }
}

function clock(seconds: number): string {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`
}
