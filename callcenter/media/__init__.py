"""The media plane: everything that carries sound."""
