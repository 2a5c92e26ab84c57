import * as z from 'zod'

/** `recordings=true`: with the recordings themselves, for reviewers; the token needs `recordings:read`, too. */
export const evidenceQuery = z.object({ recordings: z.enum(['true', 'false']).optional() })
