package main

// ChooseGOGC is how often garbage is collected.
var ChooseGOGC = chooseGOGC
