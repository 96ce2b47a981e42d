import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { diskBytes } from './resources.js'

test('what a folder takes is that of all below it, and nothing when it is gone', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kvorum-bench-'))
  try {
    const empty = diskBytes(folder)
    mkdirSync(join(folder, 'a', 'b'), { recursive: true })
    writeFileSync(join(folder, 'a', 'b', 'file'), Buffer.alloc(1 << 20, 1))
    expect(diskBytes(folder) - empty).toBeGreaterThanOrEqual(1 << 20)
    expect(diskBytes(join(folder, 'gone'))).toBe(0)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
