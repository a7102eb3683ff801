/** A function of Amplify that cannot exist here. Calling it is a compile error that shows the reason. */
export interface Gone<Reason extends string> {
  readonly reason: Reason
}

/** For code without types: the call fails. */
export const gone = ((): never => {
  throw new Error('this function of Amplify cannot exist behind a token handler: see its documentation')
}) as unknown as Gone<never>
