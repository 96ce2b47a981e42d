import { existsSync, rmdirSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { pathFault, StartFault } from '../faults.js'
import { THIS_MACHINE } from '../machines.js'
import { makeDirectory } from '../make-directory.js'
import type { Driver, NodeSpec } from './driver.js'

/** What a driver does with the directories of nodes, where they are on this machine. */
export const localDirectories: Pick<Driver, 'directoryOf' | 'expectRoom' | 'holds' | 'remove'> = {
  directoryOf: (place, machine, data) => {
    if (machine === THIS_MACHINE) return data.node(place)
    throw new StartFault(
      `the data directory ${data.given} has nodes on machine ${machine}: start it with --driver agent`,
    )
  },
  expectRoom: (places, data) => data.expectRoom(places.filter((place) => !existsSync(data.node(place))).length),
  holds: async ({ directory }) => existsSync(directory),
  remove: async ({ directory }) => {
    try {
      rmSync(directory, { recursive: true, force: true, maxRetries: 3 })
    } catch (error) {
      throw pathFault('the directory of a node that was taken away,', directory, error)
    }
    removeIfEmpty(dirname(directory))
  },
}

/** Throws a StartFault. */
export function makeNodeDirectory({ name, directory }: NodeSpec): void {
  try {
    makeDirectory(directory)
  } catch (error) {
    throw pathFault(`the directory of ${name},`, directory, error)
  }
}

/** The group's own directory may be a disk, or hold what is not ours. */
function removeIfEmpty(path: string): void {
  try {
    rmdirSync(path)
  } catch {
    // Then it stays, and does no harm.
  }
}
