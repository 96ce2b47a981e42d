import { z } from 'zod'
import { LEASE_ID } from '../core/lease.js'

/** Of a put. */
export const leaseId = z
  .string()
  .regex(LEASE_ID, { error: 'must be 32 hexadecimal digits, not all 0' })
  .meta({ description: 'The id of the lease that the key belongs to from now on, and is deleted with.' })
