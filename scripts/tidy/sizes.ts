// Sizes: a file or function over its limit fails unless the ratchet holds it, and a ratchet only ever goes down.
import ts from 'typescript'
import { isGenerated, isGo, isTypeScript, lineOf, type SourceFile, type Violation } from './source.js'
import { LINES_PER_FILE_MAX, LINES_PER_FUNCTION_MAX } from './table.js'

/** What is over its limit today: `path` or `path#function` -> lines. */
export type Ratchet = Readonly<Record<string, number>>

interface Measured {
  readonly name: string
  readonly line: number
  readonly lines: number
}

export function checkSizes(files: readonly SourceFile[], ratchet: Ratchet): Violation[] {
  const unused = new Set(Object.keys(ratchet))
  const found: Violation[] = []
  const judge = (path: string, key: string, line: number, what: string, lines: number, max: number): void => {
    const held = ratchet[key]
    unused.delete(key)
    if (held !== undefined && lines < held) {
      found.push({ path, line, message: `${what} has ${lines} lines: lower its ratchet from ${held}` })
    } else if (lines > (held ?? max)) {
      found.push({ path, line, message: `${what} has ${lines} lines, at most ${held ?? max} are allowed` })
    }
  }
  for (const file of files) {
    if (isGenerated(file) || !(isTypeScript(file) || isGo(file))) continue
    judge(file.path, file.path, 1, 'file', file.text.trimEnd().split('\n').length, LINES_PER_FILE_MAX)
    for (const one of isGo(file) ? goFunctions(file) : tsFunctions(file)) {
      const key = `${file.path}#${one.name}`
      if (one.lines > LINES_PER_FUNCTION_MAX || key in ratchet) {
        judge(file.path, key, one.line, `function ${one.name}`, one.lines, LINES_PER_FUNCTION_MAX)
      }
    }
  }
  for (const key of unused)
    found.push({ path: 'scripts/tidy/ratchet.json', line: 1, message: `${key} is gone: drop it` })
  return found
}

/** gofmt puts a function's closing brace alone in the first column. */
function goFunctions(file: SourceFile): Measured[] {
  const found: Measured[] = []
  for (const head of file.text.matchAll(/^func (?:\([^)]*\) )?(\w+)[^\n]*\{$/gm)) {
    const start = head.index ?? 0
    const end = file.text.indexOf('\n}', start)
    const line = lineOf(file.text, start)
    found.push({ name: head[1] ?? '', line, lines: lineOf(file.text, end + 1) - line + 1 })
  }
  return found
}

function tsFunctions(file: SourceFile): Measured[] {
  const root = ts.createSourceFile(file.path, file.text, ts.ScriptTarget.ES2023, true)
  const found: Measured[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && 'body' in node && node.body !== undefined && !isSuite(node)) {
      const first = root.getLineAndCharacterOfPosition(node.getStart(root)).line
      const last = root.getLineAndCharacterOfPosition(node.getEnd()).line
      found.push({ name: nameOf(node), line: first + 1, lines: last - first + 1 })
    }
    ts.forEachChild(node, visit)
  }
  visit(root)
  return found
}

/** The callback of `describe` is a list of tests, not a function that one reads as a whole. */
function isSuite(node: ts.Node): boolean {
  return ts.isCallExpression(node.parent) && /^describe\b/.test(node.parent.expression.getText())
}

function nameOf(node: ts.SignatureDeclaration): string {
  if (node.name !== undefined) return node.name.getText()
  const parent = node.parent
  if (ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent)) return parent.name.getText()
  return ts.isConstructorDeclaration(node) ? 'constructor' : 'anonymous'
}
