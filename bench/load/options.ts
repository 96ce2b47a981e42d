// What the benchmarks take on their command lines. What cannot be is wrong usage, before anything is measured.
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { InvalidArgumentError, Option } from 'commander'

/** `flag` chooses by words between commas those of `all` whose name holds one of them; else they are all chosen. */
export function choice<T extends { readonly name: string }>(flag: string, what: string, all: readonly T[]): Option {
  const choose = (words: string): readonly T[] => {
    const wanted = words.split(',').map((one) => one.trim())
    const found = all.filter(({ name }) => wanted.some((one) => one !== '' && name.includes(one)))
    if (found.length > 0) return found
    throw new InvalidArgumentError(`There are: ${all.map(({ name }) => name).join(', ')}.`)
  }
  return new Option(flag, `only the ${what} whose name holds this, or one of these between commas`)
    .argParser(choose)
    .default(all, 'all')
}

/** A file that can be written. */
export function outputFile(path: string): string {
  return trying(() => {
    closeSync(openSync(path, 'a'))
    return path
  })
}

/** A folder, made if it is not there. */
export function outputFolder(path: string): string {
  return trying(() => {
    mkdirSync(path, { recursive: true })
    return path
  })
}

function trying(task: () => string): string {
  try {
    return task()
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error))
  }
}
