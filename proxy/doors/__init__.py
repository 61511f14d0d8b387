"""Other APIs in front of the same chats: what they ask becomes a chat, and its answer theirs."""
