import { createHmac, timingSafeEqual } from 'node:crypto'
import type { PostedPress } from '../access/notifications.ts'
import type { Secret } from '../kernel/secret.ts'
import type { Instant } from '../kernel/time.ts'

/** A post older or newer than this is not looked at. */
export const skewMsMax: number = 5 * 60_000

/**
 * Whether a post is from the workspace's app, and was made just now.
 * @see Slack, "Verifying requests from Slack": `v0=` and the HMAC-SHA256 of `v0:timestamp:body` in hex
 */
export function isFromSlack({ body, timestamp, signature }: PostedPress, secret: Secret, now: Instant): boolean {
  if (!/^\d{1,12}$/.test(timestamp) || Math.abs(now - Number(timestamp) * 1000) > skewMsMax) return false
  const [, hex] = /^v0=([0-9a-f]{64})$/.exec(signature) ?? []
  if (hex === undefined) return false
  const expected = createHmac('sha256', secret.reveal()).update(`v0:${timestamp}:${body}`).digest()
  return timingSafeEqual(Buffer.from(hex, 'hex'), expected)
}
