export { createAuth } from './auth'
export { ApiError } from './error'
export type * from './types'
