// One file of the tree as the rules see it.
import { type Dirent, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface SourceFile {
  /** Relative to the root, with forward slashes. */
  readonly path: string
  readonly text: string
}

export interface Violation {
  readonly path: string
  readonly line: number
  readonly message: string
}

const SKIPPED = new Set(['node_modules', 'dist', 'data', 'coverage', '.git'])
const TEXT = /\.(?:ts|mts|js|mjs|go|mod|proto|json|ya?ml|md|sh)$|(?:^|\/)(?:\.npmrc|\.ci\/\w+|LICENSE)$/

/** The text files below `root` that are part of the project, in a stable order. */
export function readTree(root: string): SourceFile[] {
  const found: SourceFile[] = []
  const visit = (folder: string): void => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true }).sort(byName)) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`
      if (entry.isDirectory()) {
        if (!SKIPPED.has(entry.name)) visit(path)
      } else if (entry.isFile() && TEXT.test(path)) {
        found.push({ path, text: readFileSync(join(root, path), 'utf8') })
      }
    }
  }
  visit('')
  return found
}

function byName(a: Dirent, b: Dirent): number {
  return a.name < b.name ? -1 : 1
}

/** Generated code carries this mark in its head; size and wording are then the generator's. */
export function isGenerated(file: SourceFile): boolean {
  return /^\/\/ Code generated .*DO NOT EDIT/m.test(file.text.slice(0, 2000))
}

export function isTypeScript(file: SourceFile): boolean {
  return /\.(?:ts|mts|js|mjs)$/.test(file.path)
}

export function isGo(file: SourceFile): boolean {
  return file.path.endsWith('.go')
}

/** Tests, and what exists for tests only: Go packages called `...test`, TypeScript folders called `testing`. */
export function isTest(file: SourceFile): boolean {
  return /_test\.go$|\.test\.ts$|^node-go\/.*test\/|\/testing\//.test(file.path)
}

export function lineOf(text: string, offset: number): number {
  let line = 1
  for (let i = text.indexOf('\n'); i !== -1 && i < offset; i = text.indexOf('\n', i + 1)) line++
  return line
}

/**
 * The text with comments and string contents blanked, every newline kept: offsets and lines stay true. Template
 * literals are blanked whole, which hides code inside `${}`: the rules are a net for honest mistakes, no sandbox.
 */
export function blank(text: string): string {
  return text.replace(
    /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`/g,
    (found) => found.replace(/[^\n]/g, ' '),
  )
}
