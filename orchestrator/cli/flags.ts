import { type Command, InvalidArgumentError } from 'commander'
import { checkAddress } from '../core/address.js'
import { EXIT } from './exit-codes.js'

// What the command lines of `kvorum`, the benchmark and the sanity check have in common.

export const DEFAULT_ADDRESS = 'localhost:7000'

/** Takes an option's value as a whole number from `min` to `max`. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = text.trim() === '' ? Number.NaN : Number(text)
    if (Number.isInteger(value) && value >= min && value <= max) return value
    throw new InvalidArgumentError(`a whole number from ${min} to ${max} is needed`)
  }
}

/** Takes an option's value as a number from `min` to `max`, whole or not. */
export function numberIn(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = text.trim() === '' ? Number.NaN : Number(text)
    if (value >= min && value <= max) return value
    throw new InvalidArgumentError(`a number from ${min} to ${max} is needed`)
  }
}

/** Takes an option's value as host:port. */
export function hostPort(text: string): string {
  try {
    checkAddress(text)
    return text
  } catch (error) {
    throw new InvalidArgumentError((error as TypeError).message)
  }
}

/** The options of this process's command line. Ends the process after --help, and after words on what is wrong. */
export function readOptions<Options extends object>(command: Command, argv: readonly string[] = process.argv): Options {
  return command
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? EXIT.ok : EXIT.usage))
    .parse(argv)
    .opts<Options>()
}
