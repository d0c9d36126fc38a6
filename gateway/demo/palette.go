package demo

// palettes are the colours of a category's covers, handed out in the order of
// its books. A category keeps to one family of colours, so that a shelf is
// known by its look.
func palettes(category string) []palette {
	switch category {
	case "thrillers":
		return []palette{
			{ground: "#e9e5dc", ink: "#14161a", a: "#c8102e", b: "#14161a", c: "#a8a499"},
			{ground: "#10192b", ink: "#f6efe2", a: "#f4b731", b: "#1e3150", c: "#d8412f"},
			{ground: "#15171c", ink: "#f8f3e8", a: "#ffd447", b: "#23272f", c: "#343a45"},
			{ground: "#c4122d", ink: "#fff4ea", a: "#15171c", b: "#f4e8da", c: "#8e0b20"},
			{ground: "#f1ede4", ink: "#0c2a31", a: "#e4472f", b: "#0d3b45", c: "#7fd3c8"},
			{ground: "#cdd8dc", ink: "#0f212c", a: "#2b5368", b: "#0f212c", c: "#c8102e"},
		}
	case "romance":
		return []palette{
			{ground: "#f7c9c4", ink: "#5a1230", a: "#fff3ec", b: "#e0566d", c: "#5a1230"},
			{ground: "#efe6f5", ink: "#42245c", a: "#9b72c4", b: "#c9aee0", c: "#5f8a4e"},
			{ground: "#7d1f3f", ink: "#ffe9df", a: "#f2a48f", b: "#5a1230", c: "#f7d9a8"},
			{ground: "#fff6ea", ink: "#1d3e6e", a: "#2f6fb0", b: "#e77a5b", c: "#bcd6e8"},
			{ground: "#fbd9c0", ink: "#3b2350", a: "#ef6f6c", b: "#6c6fb5", c: "#3b2350"},
			{ground: "#f08a6b", ink: "#3f1026", a: "#ffd9a0", b: "#d9586a", c: "#7a2145"},
		}
	case "science-fiction":
		return []palette{
			{ground: "#141239", ink: "#f3efff", a: "#f5d8a8", b: "#5646c9", c: "#ff7a5c"},
			{ground: "#f0ecff", ink: "#221a5e", a: "#5a3fe0", b: "#ff6f61", c: "#b8abf2"},
			{ground: "#f8f5ff", ink: "#1a1550", a: "#22c3d6", b: "#241c74", c: "#ff5d8f"},
			{ground: "#0b3a5b", ink: "#e9fbff", a: "#8be0e8", b: "#0d5478", c: "#7fd67a"},
			{ground: "#3322a0", ink: "#fdf7ff", a: "#7f6df2", b: "#23d3c5", c: "#ffcf5c"},
			{ground: "#ff6a4d", ink: "#1c1145", a: "#1c1145", b: "#ffd2a6", c: "#7a2a8c"},
		}
	case "cooking":
		return []palette{
			{ground: "#2c2a24", ink: "#f8ecd2", a: "#e3a72f", b: "#8a6a2c", c: "#d95d2b"},
			{ground: "#fbeed6", ink: "#7c1d12", a: "#cf3b24", b: "#f0a63a", c: "#7c1d12"},
			{ground: "#fffaf0", ink: "#244a2c", a: "#e5532d", b: "#5f9448", c: "#f3c64c"},
			{ground: "#e9c891", ink: "#4a2610", a: "#a65a22", b: "#7a3b14", c: "#f8e8c8"},
			{ground: "#fff3c4", ink: "#27502f", a: "#ffd02e", b: "#f2a900", c: "#4d8b3f"},
			{ground: "#1f4a37", ink: "#fbf3dc", a: "#7fb069", b: "#3c7a55", c: "#f0a13c"},
		}
	case "children":
		return []palette{
			{ground: "#ffd23f", ink: "#3a2013", a: "#8a5230", b: "#f6e7cb", c: "#ee5a36"},
			{ground: "#8fd3f4", ink: "#0d3b66", a: "#ffffff", b: "#2479b8", c: "#ff6b4a"},
			{ground: "#ffb4a2", ink: "#3f1d4e", a: "#3d9bd1", b: "#ffe066", c: "#6a3d8a"},
			{ground: "#b8e0a5", ink: "#1d4027", a: "#7c7f8e", b: "#f7a8b8", c: "#ffffff"},
			{ground: "#ffe9c9", ink: "#30235a", a: "#6c55b5", b: "#f39b3b", c: "#fff8ee"},
			{ground: "#23286b", ink: "#fff3c9", a: "#fff0a8", b: "#e85d75", c: "#4a51b0"},
		}
	case "history":
		return []palette{
			{ground: "#efe3c8", ink: "#4a2b12", a: "#c9831d", b: "#7d8f5a", c: "#e9b44c"},
			{ground: "#dfe4dd", ink: "#24352f", a: "#a5462f", b: "#c77d4a", c: "#3f6b63"},
			{ground: "#f5efe0", ink: "#3c2a1e", a: "#2f5d62", b: "#b5533c", c: "#d8a748"},
			{ground: "#e6ebee", ink: "#22303a", a: "#5c7482", b: "#33495a", c: "#ffffff"},
			{ground: "#3d2438", ink: "#f6e6c4", a: "#d8a23a", b: "#8a3b4e", c: "#f0cf7c"},
			{ground: "#2d4a4a", ink: "#f3ecd8", a: "#8fb3a4", b: "#d9b36c", c: "#1d3434"},
		}
	}
	return nil
}
