import type { Site } from '../site.ts'
export function recordingRoutes(_site: Site): void {}
