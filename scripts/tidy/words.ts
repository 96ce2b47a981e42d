// What the text of a file may not say: clock, chance and system calls outside their rooms, promises without an
// issue, and traces of one person's machine.
import { blank, isGenerated, isGo, isTest, isTypeScript, lineOf, type SourceFile, type Violation } from './source.js'
import { GO_RESTRICTIONS, HOSTS, MACHINE_PATH, type Restriction, TS_RESTRICTIONS } from './table.js'

export function checkWords(files: readonly SourceFile[]): Violation[] {
  return files.flatMap((file) => [...checkRestrictions(file), ...checkPromises(file), ...checkTraces(file)])
}

function checkRestrictions(file: SourceFile): Violation[] {
  const rules = restrictionsFor(file).filter((rule) => !rule.allowed.some((prefix) => file.path.startsWith(prefix)))
  if (rules.length === 0 || isGenerated(file)) return []
  const code = blank(file.text)
  return rules.flatMap((rule) =>
    [...code.matchAll(new RegExp(rule.pattern, 'g'))].map((found) => ({
      path: file.path,
      line: lineOf(code, found.index),
      message: `${found[0]} ${rule.says}`,
    })),
  )
}

function restrictionsFor(file: SourceFile): readonly Restriction[] {
  if (isTypeScript(file) && file.path.startsWith('orchestrator/')) return isTest(file) ? [] : TS_RESTRICTIONS
  if (isGo(file)) return GO_RESTRICTIONS.filter((rule) => rule.tests === true || !isTest(file))
  return []
}

const PROMISE = /\b(?:TODO|FIXME|XXX|HACK)\b(?![^\n]*#\d+)/g

function checkPromises(file: SourceFile): Violation[] {
  if (!(isTypeScript(file) || isGo(file)) || isGenerated(file)) return []
  return commentsOf(file.text).flatMap(({ text, offset }) =>
    [...text.matchAll(PROMISE)].map((found) => ({
      path: file.path,
      line: lineOf(file.text, offset + found.index),
      message: `${found[0]} without an issue number`,
    })),
  )
}

function commentsOf(text: string): { text: string; offset: number }[] {
  return [...text.matchAll(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g)].map((found) => ({ text: found[0], offset: found.index }))
}

function checkTraces(file: SourceFile): Violation[] {
  if (file.path.endsWith('package-lock.json')) return checkLock(file)
  if (isGenerated(file)) return []
  return file.text.split('\n').flatMap((text, index) => {
    const at = { path: file.path, line: index + 1 }
    const found: Violation[] = []
    if (MACHINE_PATH.test(text)) found.push({ ...at, message: "names a path of one person's machine" })
    for (const host of hostsOf(text)) {
      if (!HOSTS.has(host)) found.push({ ...at, message: `names the host ${host}: see HOSTS in scripts/tidy/table.ts` })
    }
    return found
  })
}

function hostsOf(text: string): string[] {
  return [...text.matchAll(/\bhttps?:\/\/([A-Za-z0-9.-]+)/g)].map((found) => found[1] ?? '')
}

/** The lock file keeps versions and checksums; where a package came from is this machine's business. */
function checkLock(file: SourceFile): Violation[] {
  const at = file.text.indexOf('"resolved"')
  if (at === -1) return []
  return [{ path: file.path, line: lineOf(file.text, at), message: 'names a registry ("resolved")' }]
}
