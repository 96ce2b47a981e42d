import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/**
 * A module of the project that the package from npm does not have: what breaks clusters lies in test/. The product knows it
 * only by its path in dist/ and by what it must be able to do; undefined where it is not.
 */
export async function fromCheckout<Module>(path: string): Promise<Module | undefined> {
  const url = new URL(`../../${path}`, import.meta.url)
  return existsSync(fileURLToPath(url)) ? ((await import(url.href)) as Module) : undefined
}
