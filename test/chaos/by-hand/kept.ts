// What a proxy of `npm start -- --fault-proxy` leaves in the data directory (faultproxy/kept.go): where it takes orders.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { DataDirectory } from '../../../orchestrator/control/data-directory.js'
import { ProxyControl } from '../faults/proxy.js'

const kept = z.object({ control: z.string(), pid: z.int() })

export interface Kept extends z.infer<typeof kept> {}

export function folderIn(data: string): string {
  return new DataDirectory(data).faultProxy
}

/** There only while the cluster has a proxy; also of one that has died. */
export function fileIn(folder: string): string {
  return join(folder, 'state.json')
}

/** Undefined where the cluster was started without one. */
export function readKept(folder: string): Kept | undefined {
  const file = fileIn(folder)
  return existsSync(file) ? kept.parse(JSON.parse(readFileSync(file, 'utf8'))) : undefined
}

/** Whether it answers, and is the one of this folder: its port may be another program's by now. */
export async function answers(folder: string, { control }: Kept): Promise<boolean> {
  try {
    return (await new ProxyControl(control).state()).kept === fileIn(folder)
  } catch {
    return false
  }
}
