import { constants, existsSync, statSync } from 'node:fs'
import { access, chmod, copyFile, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { dirname, isAbsolute, join } from 'node:path'
import { Turns } from '../core/turns.js'
import type { DataDirectory } from './data-directory.js'
import type { Driver } from './drivers/driver.js'
import { pathFault, StartFault } from './faults.js'

// Node programs that were taken in: copies in the data directory, so that what nodes are started with can neither change nor
// vanish. A name says the version and the bytes. What lies under a name is whole, durable, and was run once.

/** What is being taken in. Left by whoever died over it, and made anew. */
const COMING = '.coming'

/** A program that was taken in. */
export interface Taken {
  readonly name: string
  /** The newest format of commands that it knows. */
  readonly formatMax: number
}

export class Programs {
  readonly #turns = new Turns()

  constructor(
    private readonly directory: DataDirectory,
    private readonly driver: Driver,
  ) {}

  /** The one that nodes are started with unless another one was taken in. */
  get own(): string {
    return this.driver.program
  }

  has(name: string): boolean {
    return existsSync(this.directory.program(name))
  }

  /** Copies a node program, and gives the copy. Rejects with a StartFault when it is none, or cannot be run from there. */
  takeIn(path: string): Promise<Taken> {
    return this.#turns.take(() => this.#takeIn(path))
  }

  /** Removes those that no node is started with any more. Processes that run one go on. */
  async keepOnly(kept: ReadonlySet<string | undefined>): Promise<void> {
    const { programs } = this.directory
    if (!existsSync(programs)) return
    const gone = (await readdir(programs)).filter((name) => !kept.has(name))
    await Promise.all(gone.map((name) => rm(join(programs, name), { recursive: true, force: true })))
  }

  async #takeIn(path: string): Promise<Taken> {
    if (!isAbsolute(path)) throw new StartFault(`a node program is named by its absolute path, and not as ${path}`)
    if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true)
      throw new StartFault(`there is no program ${path}`)
    await access(path, constants.R_OK).catch(() => {
      throw new StartFault(`the program ${path} cannot be read: permission denied`)
    })
    const coming = this.directory.program(COMING)
    await this.#copy(path, coming)
    // The copy is asked, and not the original: it is what will be run, and from where it will be.
    const { version, formatMax } = await this.driver.inspect(coming, path)
    const name = `${version}-${await this.driver.build(coming)}`
    if (!this.has(name)) await this.#settle(dirname(coming), dirname(this.directory.program(name)))
    return { name, formatMax }
  }

  async #copy(from: string, to: string): Promise<void> {
    try {
      await rm(dirname(to), { recursive: true, force: true })
      await mkdir(dirname(to), { recursive: true })
      await copyFile(from, to)
      await chmod(to, 0o755)
      await sync(to)
    } catch (error) {
      throw pathFault('the copy of the program', to, error)
    }
  }

  /** From the rename on the registry may name it: it must be there after a power cut. */
  async #settle(coming: string, to: string): Promise<void> {
    await sync(coming)
    await rename(coming, to)
    for (const folder of [dirname(to), this.directory.path]) await sync(folder)
  }
}

async function sync(path: string): Promise<void> {
  const file = await open(path, 'r')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}
