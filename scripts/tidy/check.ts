import { checkImports } from './imports.js'
import { checkSizes, type Ratchet } from './sizes.js'
import type { SourceFile, Violation } from './source.js'
import { checkWords } from './words.js'

/** Every rule on every file. Pure: the tree comes in as values, so that the tests need no disk. */
export function checkTree(files: readonly SourceFile[], ratchet: Ratchet): Violation[] {
  return [...checkImports(files), ...checkSizes(files, ratchet), ...checkWords(files)]
}
