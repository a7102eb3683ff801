package tokenhandler

// Member is the value of a JSON object's member.
var Member = member
