// Import arrows: a room uses only the rooms that DESIGN section 3 lets it use.
import { dirname, posix } from 'node:path'
import ts from 'typescript'
import { isGo, isTest, isTypeScript, lineOf, type SourceFile, type Violation } from './source.js'
import { BUILTIN_ROOMS, GO_ARROWS, PACKAGE_ROOMS, TS_ARROWS } from './table.js'

interface Import {
  readonly specifier: string
  readonly offset: number
}

export function checkImports(files: readonly SourceFile[]): Violation[] {
  return files.flatMap((file) => {
    if (isTypeScript(file) && file.path.startsWith('orchestrator/')) return checkTypeScript(file)
    if (isGo(file) && file.path.startsWith('node-go/')) return checkGo(file)
    return []
  })
}

function checkTypeScript(file: SourceFile): Violation[] {
  const room = tsRoom(file.path)
  return tsImports(file).flatMap((found) => {
    const fault = found.specifier.startsWith('.')
      ? relativeFault(file.path, room, found.specifier)
      : packageFault(room, found.specifier, isTest(file))
    return fault === undefined ? [] : [{ path: file.path, line: lineOf(file.text, found.offset), message: fault }]
  })
}

/** `orchestrator/wire/lane.ts` -> `wire`; `orchestrator/main.ts` -> `main`. */
function tsRoom(path: string): string {
  return (path.split('/')[1] ?? '').replace(/\.[jt]s$/, '')
}

function relativeFault(path: string, room: string, specifier: string): string | undefined {
  const target = posix.join(dirname(path), specifier)
  if (!target.startsWith('orchestrator/')) return `${room} imports ${target}, which is outside orchestrator/`
  const to = tsRoom(target)
  const allowed = TS_ARROWS[room]
  if (allowed === undefined) return `room ${room} is not in scripts/tidy/table.ts`
  if (to === room || allowed.includes(to)) return undefined
  return `${room} must not import ${to}: the arrows of DESIGN section 3 do not lead there`
}

function packageFault(room: string, specifier: string, test: boolean): string | undefined {
  const name = specifier.startsWith('@') ? specifier.split('/').slice(0, 2).join('/') : specifier.split('/')[0]
  const rooms = specifier.startsWith('node:') ? BUILTIN_ROOMS[specifier] : PACKAGE_ROOMS[name ?? '']
  // A test may use what it needs of Node.js (a temporary folder, a socket) but no other room's library.
  if (rooms === undefined || rooms.includes(room) || (test && specifier.startsWith('node:'))) return undefined
  return `${room} must not import ${specifier}: it belongs to ${rooms.join(', ')}`
}

function tsImports(file: SourceFile): Import[] {
  return ts
    .preProcessFile(file.text, true, true)
    .importedFiles.map((found) => ({ specifier: found.fileName, offset: found.pos }))
}

const MODULE = 'kvorum/node/'

function checkGo(file: SourceFile): Violation[] {
  const room = goRoom(file.path.slice('node-go/'.length))
  return goImports(file.text).flatMap((found) => {
    if (!found.specifier.startsWith(MODULE)) return []
    const to = goRoom(found.specifier.slice(MODULE.length))
    const fault = goFault(room, to, isTest(file))
    return fault === undefined ? [] : [{ path: file.path, line: lineOf(file.text, found.offset), message: fault }]
  })
}

function goRoom(path: string): string {
  return path.split('/')[0] ?? ''
}

/** A test may build its room on anything below the composition root; production code follows the arrows. */
function goFault(room: string, to: string, test: boolean): string | undefined {
  const allowed = GO_ARROWS[room]
  if (allowed === undefined) return `package ${room} is not in scripts/tidy/table.ts`
  if (to === room || allowed.includes(to) || allowed.includes('*')) return undefined
  if (test && to !== 'cmd') return undefined
  return `${room} must not import ${to}: the arrows of DESIGN section 3 do not lead there`
}

function goImports(text: string): Import[] {
  const found: Import[] = []
  for (const block of text.matchAll(/^import (?:\(([\s\S]*?)^\)|(?:[\w.]+ )?"[^"]+")/gm)) {
    for (const one of block[0].matchAll(/"([^"]+)"/g)) {
      found.push({ specifier: one[1] ?? '', offset: (block.index ?? 0) + (one.index ?? 0) })
    }
  }
  return found
}
