// A disk of its own for a cluster or for one of its nodes, which a test may fill, freeze or make read-only. Only root on
// Linux can have one: where that does not work, a test says why it is skipped.
import { spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, truncateSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const FILLER = 'filler'
/** Large steps first, then what is left of the last block. */
const FILL_STEPS = [1 << 20, 1 << 10]

/** Mounted as long as it lives: whoever makes one calls `detach`. */
export class Disk {
  readonly path: string
  readonly #image: string | undefined
  #frozen = false

  /** In memory; `size` as tmpfs takes it, as "64m". */
  static tmpfs(path: string, size: string): Disk {
    return new Disk(path, ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs'])
  }

  /** A file that is a disk: unlike a tmpfs it can be frozen. */
  static ext4(path: string, image: string, bytes: number): Disk {
    closeSync(openSync(image, 'w'))
    truncateSync(image, bytes)
    // Small blocks: a full disk is full for every file, and not only at its next 4 KiB.
    run('mkfs.ext4', '-q', '-F', '-b', '1024', image)
    const disk = new Disk(path, ['-o', 'loop', image], image)
    rmSync(join(path, 'lost+found'), { recursive: true, force: true })
    return disk
  }

  private constructor(path: string, what: readonly string[], image?: string) {
    this.path = path
    this.#image = image
    mkdirSync(path, { recursive: true })
    run('mount', ...what, path)
    mounted.add(this)
  }

  /** Takes all the room that is left. */
  fill(): void {
    const file = openSync(join(this.path, FILLER), 'a')
    try {
      for (const step of FILL_STEPS) while (hasTaken(file, step));
    } finally {
      closeSync(file)
    }
  }

  /** Gives the room back. */
  makeRoom(): void {
    rmSync(join(this.path, FILLER), { force: true })
  }

  makeReadOnly(): void {
    run('mount', '-o', 'remount,ro', this.path)
  }

  /** From now on whoever writes or fsyncs here hangs, and cannot even be killed, until the thaw. */
  freeze(): void {
    run('fsfreeze', '-f', this.path)
    this.#frozen = true
  }

  thaw(): void {
    if (!this.#frozen) return
    run('fsfreeze', '-u', this.path)
    this.#frozen = false
  }

  /** All that was on it is gone. Nothing the second time. */
  detach(): void {
    if (!mounted.delete(this)) return
    this.thaw()
    // Lazily if somebody still uses it: it must not stay behind, whatever went wrong.
    if (faultOf('umount', this.path) !== undefined) run('umount', '-l', this.path)
    if (this.#image !== undefined) rmSync(this.#image, { force: true })
  }
}

const mounted = new Set<Disk>()
/** The last net: a test run that dies on the way takes its disks with it. */
process.once('exit', () => {
  for (const disk of mounted) disk.detach()
})

/** Why there are no disks of one's own here; undefined when there are. Tries it. */
export function whyNoDisks(): string | undefined {
  if (process.platform !== 'linux') return 'only Linux has mounts like these'
  if (process.getuid?.() !== 0) return 'mounting needs root'
  const folder = mkdtempSync(join(tmpdir(), 'kvorum-disk-'))
  try {
    for (const make of [tryTmpfs, tryExt4]) make(folder)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function tryTmpfs(folder: string): void {
  Disk.tmpfs(join(folder, 'tmpfs'), '1m').detach()
}

function tryExt4(folder: string): void {
  const disk = Disk.ext4(join(folder, 'ext4'), join(folder, 'image'), 8 << 20)
  try {
    disk.freeze()
  } finally {
    disk.detach()
  }
}

function hasTaken(file: number, bytes: number): boolean {
  try {
    return writeSync(file, Buffer.alloc(bytes)) === bytes
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return false
    throw error
  }
}

function run(command: string, ...args: string[]): void {
  const fault = faultOf(command, ...args)
  if (fault !== undefined) throw new Error(`${command} ${args.join(' ')}: ${fault}`)
}

function faultOf(command: string, ...args: string[]): string | undefined {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' })
  return status === 0 ? undefined : (error?.message ?? stderr.split('\n', 1).join())
}
