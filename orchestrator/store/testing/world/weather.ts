import type { Chance } from '../chance.js'

/** What may go wrong, and how often at the worst: per operation, message or step, whichever it is about. */
const RATES_MAX = {
  overloaded: 0.2,
  tooLarge: 0.02,
  deposed: 0.05,
  stopping: 0.1,
  answerLostInNode: 0.03,
  oldHint: 0.5,
  wrongHint: 0.2,
  connectionBreaks: 0.1,
  messageLate: 0.15,
  answerLate: 0.15,
  answerInParts: 0.3,
  restart: 0.03,
  pause: 0.02,
  readdress: 0.01,
  election: 0.02,
  expiry: 0.01,
  move: 0.02,
  join: 0.01,
  newMap: 0.05,
  refreshLost: 0.3,
  cut: 0.01,
  distrust: 0.02,
  cancel: 0.05,
} as const

export type Fault = keyof typeof RATES_MAX

/** Each run has its own share of everything, and nothing of some: a fault that is always there would hide others. */
export class Weather {
  readonly #rates: Record<Fault, number>
  #calm = false

  constructor(private readonly chance: Chance) {
    const rateOf = (most: number) => (chance.happens(0.4) ? 0 : most * chance.float())
    this.#rates = { ...RATES_MAX } as Record<Fault, number>
    for (const fault of Object.keys(RATES_MAX) as Fault[]) this.#rates[fault] = rateOf(RATES_MAX[fault])
  }

  strikes(fault: Fault): boolean {
    return !this.#calm && this.chance.happens(this.#rates[fault])
  }

  /** From now on nothing goes wrong any more. */
  calm(): void {
    this.#calm = true
  }
}
