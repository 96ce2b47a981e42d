import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..')

/** A path below the project's folder. */
export const inRoot = (...parts) => join(ROOT, ...parts)
