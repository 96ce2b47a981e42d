import type { Writable } from 'node:stream'
import picocolors from 'picocolors'
import { pino } from 'pino'
import type { EventName, Events, Telemetry } from './events.js'
import { LEVELS, type Level, WORDS } from './words.js'

export interface LogOptions {
  /** Events below it are dropped. */
  readonly level: Level
  /** Whether `request` events are wanted. */
  readonly requests: boolean
  /** `text`: one line for a person; `json`: one line for a program. */
  readonly format: 'text' | 'json'
  /** Where the lines go. Not closed. */
  readonly to: Writable
  /** Colours in `text`. */
  readonly colours: boolean
}

type Line = (level: Level, name: EventName, message: string, event: object) => void

/** A log of the events. */
export function logTelemetry(options: LogOptions): Telemetry {
  const write = options.format === 'json' ? jsonLines(options) : textLines(options)
  const least = LEVELS.indexOf(options.level)
  const enabled = (name: EventName) => {
    if (name === 'request') return options.requests
    return LEVELS.indexOf(WORDS[name].level) >= least
  }
  return {
    enabled,
    emit<Name extends EventName>(name: Name, event: Events[Name]) {
      if (!enabled(name)) return
      const { level, say } = WORDS[name]
      write(level, name, say(event), event)
    },
  }
}

function textLines({ to, colours }: LogOptions): Line {
  const paint = picocolors.createColors(colours)
  const marks = { debug: paint.dim, info: (text: string) => text, warn: paint.yellow, error: paint.red }
  return (level, _, message) => to.write(`${paint.dim('kvorum:')} ${marks[level](message)}\n`)
}

function jsonLines({ to, level, requests }: LogOptions): Line {
  // Requests are asked for by their own switch, whatever the level.
  const least = requests && level !== 'debug' ? 'info' : level
  const log = pino({ level: least, formatters: { level: (label) => ({ level: label }) } }, to)
  return (severity, name, message, event) => log[severity]({ event: name, ...plain(event) }, message)
}

/** JSON has no bigint, and an error none of its parts. */
function plain(event: object): Record<string, unknown> {
  const entries = Object.entries(event).map(([name, value]) => {
    if (typeof value === 'bigint') return [name, Number(value)]
    if (value instanceof Error) return [name, { message: value.message, stack: value.stack }]
    return [name, value]
  })
  return Object.fromEntries(entries)
}
